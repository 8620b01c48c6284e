from __future__ import annotations

import anyio
import pytest
from textual.events import Key

from lbapp.model.errors import LbappError
from lbapp.tui.actions.effect import Effect
from lbapp.tui.dialogs.form import Field, Line, Toggle
from lbapp.tui.dialogs.question import Asked, Question, Yes, fitted
from tests.tui.dialogs.support import Shown, showing

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("keys", "is_yes"),
    [
        (["enter"], False),
        (["y"], True),
        (["escape"], False),
        (["n"], False),
        (["right", "enter"], True),
        (["space"], False),
    ],
)
async def test_only_y_or_the_other_button_says_yes(keys: list[str], is_yes: bool) -> None:
    async with showing(Question(Asked("[b]Drain?", "Drain", lines=("[red]effect",)))) as shown:
        await shown.until("[red]effect")
        await shown.press(*keys)
        assert isinstance(await shown.answered(), Yes) is is_yes


async def test_nothing_is_done_before_its_effect_is_known_and_cancel_keeps_the_focus() -> None:
    known = anyio.Event()

    async def effect() -> Effect:
        await known.wait()
        return Effect(("3 in flight finish",), "B")

    async with showing(Question(Asked("Drain?", "Drain", effect=effect))) as shown:
        await shown.until("asking the engine")
        await shown.press("y")
        await shown.until("wait until it is known")
        assert "[[ Cancel ]]" in shown.text
        known.set()
        await shown.until("3 in flight finish")
        assert "[[ Cancel ]]" in shown.text
        assert shown.answers == []
        await shown.press("y")
        assert isinstance(await shown.answered(), Yes)


async def test_keys_behind_the_answer_change_nothing_of_it() -> None:
    question = Question(Asked("Drain?", "Drain", lines=("effect",)))
    async with showing(question) as shown:
        await shown.until("effect")
        for key in ("y", "y", "escape"):
            question.on_key(Key(key, key if key == "y" else None))
        assert isinstance(await shown.answered(), Yes)
        assert len(shown.answers) == 1


@pytest.mark.parametrize("needs_force", [True, False])
async def test_word_has_to_be_typed_and_no_letter_is_a_button(needs_force: bool) -> None:
    async def effect() -> Effect:
        return Effect(("! NONE stays",), "C", needs_force)

    async with showing(Question(Asked("Drain?", "Drain", word="any", effect=effect))) as shown:
        await shown.until("Type any:")
        await shown.press("enter" if needs_force else "a")
        if needs_force:
            assert await shown.answered() is None  # Cancel had the focus
            return
        await shown.press("n", "enter")
        await shown.until("type any to do it")
        await shown.press("y", "enter")
        answer = await shown.answered()
        assert isinstance(answer, Yes)
        assert not answer.effect.needs_force


async def test_word_for_what_the_engine_refuses_is_the_only_thing_that_forces() -> None:
    async with showing(Question(Asked("Refused", "Force", word="app", is_typed=True, lines=("! too few",)))) as shown:
        await shown.press("y", "right", "tab", "enter")
        await shown.until("type app to do it")
        await shown.press("tab", "tab", "ctrl+u", "a", "p", "p", "enter")
        answer = await shown.answered()
        assert isinstance(answer, Yes)
        assert answer.effect.needs_force


async def test_field_that_does_not_hold_says_why_and_one_that_is_all_submits() -> None:
    asked = Asked(
        "Weight", "Set", fields=(Field("weight", "Weight", Line()),), first="weight", submits="weight",
        check=lambda form: "" if form.text("weight").isdigit() else "that is no weight",
    )  # fmt: skip
    async with showing(Question(asked)) as shown:
        await shown.press("x", "enter")
        await shown.until("that is no weight")
        await shown.press("backspace", "5", "0", "enter")
        answer = await shown.answered()
        assert answer.form.text("weight") == "50"


async def test_what_cannot_be_asked_says_so_and_only_leaves() -> None:
    async def effect() -> Effect:
        raise LbappError("there is no server s1\x1b")

    async with showing(Question(Asked("Drain?", "Drain", effect=effect))) as shown:
        await shown.until("! there is no server s1·")
        await shown.press("y")
        await shown.until("not possible: Esc leaves")
        await shown.press("escape")
        assert await shown.answered() is None


async def test_every_server_is_named_and_what_changed_meanwhile_too() -> None:
    gone: list[str] = []
    names = [f"app/s{number}" for number in range(1, 19)]
    async with showing(Question(Asked("Drain 18 servers?", "Drain", names, watch=lambda: gone))) as shown:
        await shown.until("app/s6   and 12 more")
        gone.append("app/s3 was changed by bob meanwhile")
        await shown.until("! app/s3 was changed by bob meanwhile: left out")


async def test_paste_goes_into_the_field_in_focus() -> None:
    asked = Asked("Drain?", "Drain", fields=(Field("reason", "Reason", Line(), 20),), first="reason")
    async with showing(Question(asked)) as shown:
        from textual.events import Paste

        shown.pilot.app.screen.post_message(Paste("kernel\nupdate"))
        await shown.until("kernelupdate")


async def click(shown: Shown, text: str) -> None:
    """Click on the middle of a text that is drawn."""
    rows = shown.text.splitlines()
    row = next(number for number, line in enumerate(rows) if text in line)
    column = rows[row].index(text) + len(text) // 2
    widget, region = shown.pilot.app.get_widget_at(column, row)
    await shown.pilot.click(widget, offset=(column - region.x, row - region.y))


async def test_click_goes_to_a_field_turns_a_toggle_and_presses_a_button() -> None:
    fields = (Field("reason", "Reason", Line(), 20), Toggle("hard", "Hard", hint="for everybody"))
    async with showing(Question(Asked("Drain?", "Drain", lines=("effect",), fields=fields))) as shown:
        await click(shown, "Reason")
        await shown.press(*"work")
        await click(shown, "for everybody")
        await shown.until("[x]  for everybody")
        await click(shown, "effect")
        assert shown.answers == []
        await click(shown, "Drain (y)")
        answer = await shown.answered()
        assert (answer.form.text("reason"), answer.form.is_on("hard")) == ("work", True)


async def test_click_on_cancel_leaves_and_on_yes_asks_for_the_word_first() -> None:
    for target in ("Cancel", "Force"):
        asked = Asked("Refused", "Force", word="app", is_typed=True, lines=("! too few",))
        async with showing(Question(asked)) as shown:
            await shown.until("Type app:")
            await click(shown, target)
            if target == "Cancel":
                assert await shown.answered() is None
            else:
                await shown.until("type app to do it")
                assert shown.answers == []


async def test_word_and_buttons_are_in_sight_however_much_there_is_to_tell() -> None:
    pools = [line for name in "abcdefgh" for line in (f"0 of 5 servers of {name} stay", f"! NONE of {name} stays")]

    async def effect() -> Effect:
        return Effect(("16 in flight finish", *pools, "! The engine refuses this"), "C", needs_force=True)

    fields = (Field("reason", "Reason", Line(), 50),)
    names = [f"pool/server-{number}" for number in range(40)]
    asked = Asked("Maint 40 servers?", "Maint", names=names, word="40", fields=fields, effect=effect)
    async with showing(Question(asked)) as shown:
        await shown.until("! The engine refuses this")
        for text in (
            "Maint 40 servers?",
            "Reason",
            "Type 40:",
            "[[ Cancel ]]",
            "Esc cancels",
            "! NONE of h stays",
            "lines more have no room",
        ):
            assert text in shown.text, shown.text
        await shown.press(*"40", "enter")
        assert isinstance(await shown.answered(), Yes)


def test_figures_make_room_before_what_warns_and_what_is_left_away_is_counted() -> None:
    told = ["1 in flight", "2 of 3 stay", "! NONE stays", "Shares: a", "! refused"]
    assert fitted(told, 40, 5) == told
    more = "! 2 lines more have no room: look on a larger screen, or do it in parts"
    assert fitted(told, 80, 4) == ["1 in flight", "! NONE stays", "! refused", more]
    assert fitted(told, 80, 2) == ["! NONE stays", more.replace("2 lines", "4 lines")]
    assert fitted(told, 80, 0) == [
        "! there is no room to tell what it does: look on a larger screen, or do it in parts"
    ]
