from __future__ import annotations

import pytest

from lbapp.engine.policy.quorum import needed, too_few


@pytest.mark.parametrize(
    ("ready", "known", "ready_min", "may"),
    [
        (("a", "b"), 2, None, True),  # one of two is half of them
        (("a",), 1, None, False),
        (("a", "b", "c"), 3, None, True),
        (("a", "b"), 3, None, False),  # half of three is two
        (("a", "b", "c", "d"), 5, 3, True),
        (("a", "b", "c"), 5, 3, False),
        (("a",), 1, 0, True),
        (("b", "c"), 3, 3, True),  # `a` is not ready: nothing is taken away
    ],
)
def test_a_node_may_be_drained_where_enough_others_are_ready(
    ready: tuple[str, ...], known: int, ready_min: int | None, may: bool
) -> None:
    assert (too_few("a", ready, known, ready_min) == "") is may


def test_half_of_all_have_to_be_ready_unless_the_file_says_how_many() -> None:
    assert [needed(known, None) for known in (1, 2, 3, 4)] == [1, 1, 2, 2]
    assert [needed(4, each) for each in (0, 3)] == [0, 3]


def test_a_refusal_says_with_which_figures() -> None:
    assert too_few("a", ("a", "b"), 3, None) == (
        "1 of 3 members would be ready without a, and 2 have to be (half of them)"
    )
    assert too_few("a", ("a",), 4, 1).endswith("and 1 have to be (cluster.ready_min)")
