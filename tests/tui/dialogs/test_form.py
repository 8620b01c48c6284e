from __future__ import annotations

import random

from lbapp.tui.dialogs.form import Button, Field, Form, Line, Toggle


def form() -> Form:
    return Form(
        [
            Field("text", "Text", Line()),
            Toggle("hard", "Hard"),
            Button("cancel", "Cancel", "n"),
            Button("yes", "Do", "y"),
        ],
        "cancel",
    )


def test_line_is_typed_into_and_moved_in() -> None:
    line = Line()
    for key in "abd":
        assert line.press(key, key)
    line.press("left", None)
    line.press("c", "c")
    assert (line.text, line.caret) == ("abcd", 3)
    line.press("home", None)
    line.press("delete", None)
    line.press("end", None)
    line.press("backspace", "\x7f")
    assert line.text == "bc"
    line.press("ctrl+u", "\x15")
    assert (line.text, line.caret) == ("", 0)
    assert not line.press("f5", None)
    line.type("x\x1b[2Jy")
    assert line.text == "x[2Jy"


def test_longer_line_is_drawn_with_its_caret_in_sight() -> None:
    line = Line()
    line.type("0123456789")
    assert line.drawn(5).plain == "6789 "
    assert len(line.drawn(5).plain) == 5


def test_enter_presses_the_button_in_focus_and_never_another() -> None:
    assert form().press("enter") == "cancel"
    moved = form()
    assert moved.press("right") is None
    assert moved.press("enter") == "yes"


def test_letters_press_buttons_only_outside_of_a_field() -> None:
    one = form()
    assert one.press("y", "y") == "yes"
    one.focus("text")
    assert one.press("y", "y") is None
    assert one.text("text") == "y"
    assert one.press("enter") is None
    assert one.focused.name == "hard"
    one.press("space", " ")
    assert one.is_on("hard")


def test_tab_leads_from_cancel_through_the_fields_to_what_says_yes() -> None:
    one = form()
    assert one.press("tab") is None
    for letter in "yes":  # a reason that somebody begins to write says no yes
        assert one.press(letter, letter) is None
    assert one.text("text") == "yes"
    order = [one.focused.name]
    for key in ("tab", "tab", "tab", "tab", "shift+tab", "shift+tab"):
        one.press(key)
        order.append(one.focused.name)
    assert order == ["text", "hard", "yes", "cancel", "text", "cancel", "yes"]


def test_up_and_down_lead_through_the_rows_as_they_stand_and_never_to_what_says_yes() -> None:
    one, order = form(), []
    for key in ("up", "up", "up", "down", "down", "down"):
        one.press(key)
        order.append(one.focused.name)
    assert order == ["hard", "text", "cancel", "text", "hard", "cancel"]
    one.focus("yes")
    one.press("up")
    assert one.focused.name == "hard"
    bare = Form([Button("cancel", "Cancel", "n"), Button("yes", "Do", "y")], "cancel")
    bare.press("down")
    assert bare.focused.name == "yes"


def test_part_that_is_put_in_leaves_the_focus_where_it_was() -> None:
    one = form()
    one.add(Field("word", "Word", Line()), "cancel")
    assert one.focused.name == "cancel"
    assert [part.name for part in one.parts] == ["text", "hard", "word", "cancel", "yes"]


def test_shown_focus_is_the_real_one_whatever_is_pressed() -> None:
    chance, one = random.Random(5), form()
    for _ in range(2_000):
        key = chance.choice(["tab", "shift+tab", "up", "down", "left", "right", "space", "a", "home", "end"])
        one.press(key, {"space": " ", "a": "a"}.get(key))
        drawn = one.drawn()
        marked = [index for index, line in enumerate(drawn) if any("reverse" in str(span.style) for span in line.spans)]
        lines = [part.name for part in one.parts if not isinstance(part, Button)]
        expected = len(drawn) - 1 if isinstance(one.focused, Button) else lines.index(one.focused.name)
        assert marked == [expected]
        if isinstance(one.focused, Button):
            assert f"[[ {one.focused.label}" in drawn[-1].plain
