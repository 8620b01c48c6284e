from __future__ import annotations

from lbapp.tui.marks import Marks


def test_mark_is_set_taken_back_and_forgotten_with_its_item() -> None:
    marks = Marks()
    assert marks.is_empty
    marks.toggle("a")
    marks.toggle("b")
    marks.toggle("a")
    marks.toggle("c")
    assert marks.with_range(()) == {"b", "c"}
    marks.keep({"a", "c"})
    assert marks.with_range(()) == {"c"}


def test_all_that_is_shown_is_marked_and_then_unmarked_and_the_rest_stays() -> None:
    marks = Marks()
    marks.toggle("hidden")
    marks.toggle_all(["a", "b"])
    assert marks.with_range(()) == {"hidden", "a", "b"}
    marks.toggle_all(["a", "b"])
    assert marks.with_range(()) == {"hidden"}


def test_range_runs_either_way_and_is_taken_back_before_the_marks() -> None:
    marks = Marks()
    marks.toggle("d")
    marks.anchor = "c"
    assert marks.range_to("a", ["a", "b", "c", "d"]) == ["a", "b", "c"]
    assert marks.range_to("d", ["a", "b", "c", "d"]) == ["c", "d"]
    assert marks.range_to("gone", ["a", "b", "c", "d"]) == ()
    assert marks.words(3, 0) == "marking 3"
    assert marks.clear()
    assert marks.words(1_200, 1) == "marked 1,200 (1 hidden)"
    assert [marks.clear(), marks.clear()] == [True, False]


def test_range_ends_when_its_beginning_is_gone() -> None:
    marks = Marks()
    marks.anchor = "a"
    marks.keep({"b"})
    assert marks.is_empty
    marks.end_range(["b"])
    assert marks.with_range(()) == {"b"}
