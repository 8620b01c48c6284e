"""What hands do at a console before an engine that changes under them, over and over.

Responsible for Enter right behind every key that asks, and for answers while servers come, go, move and change. Knows nothing of
how often is enough: the suite does it a few times, `python -m tests.bench hands` many. Invariants: the same source does the same;
what was done to a server that was not asked about, or without a yes, is in `wrong`, a sentence each.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

from lbapp.tui.acting import _NOT_LIVE
from lbapp.tui.app import LbappConsole
from lbapp.tui.changes import Outcome
from lbapp.tui.dialogs.form import Button
from lbapp.tui.dialogs.question import Question
from tests.tui.changing_double import BOB
from tests.tui.console import at_servers, screen_text, until
from tests.tui.engine_double import EngineDouble, server

# Every action of class B or C that has a key, and what its dialog says.
DIALOGS: Final[Mapping[str, str]] = {
    "d": "Drain app/s1", "m": "Maint app/s1", "w": "Weight of app/s1", "K": "Kill what is in flight at app/s1",
    "A": "Add a server to app", "delete": "Remove app/s1", "N": "Drain this node", "U": "Unpublish app?",
    "S": "Keep configuration 1?", "B": "Go back from configuration 1?",
}  # fmt: skip
LOOKING: Final = ("down", "up", "greater_than_sign", "r", "G", "g", "exclamation_mark", "space", "slash", "escape")
FILTERS: Final = ("s", "s1", "state:up", "!s2")
_BATCH: Final = 25  # changes between two lines of the feed


@dataclass(slots=True)
class Found:
    """How much was tried, and what was wrong. `done`: changes that the engine was asked for."""

    tried: int = 0
    done: int = 0
    wrong: list[str] = field(default_factory=list)


def console_of(pilot: Pilot[None]) -> LbappConsole:
    """Return the console that is driven."""
    assert isinstance(pilot.app, LbappConsole)
    return pilot.app


def is_asking(pilot: Pilot[None]) -> bool:
    """Say whether a question is open."""
    return isinstance(pilot.app.screen, Question)


def press_at_once(pilot: Pilot[None], *keys: str) -> None:
    """Have all keys there before the first is answered, as a paste or a slow link has them."""
    driver = pilot.app._driver
    assert driver is not None
    for key in keys:
        driver.send_message(Key(_character_to_key(key), key) if len(key) == 1 else Key(key, None))


async def enter_at_once(pilot: Pilot[None], double: EngineDouble, times: int) -> Found:
    """Press the key of every dialog with Enter right behind it, and once with Enter when it is drawn."""
    found = Found()
    double.confirm_by = 4e9
    await at_servers(pilot)
    for number in range(times):
        for key, title in DIALOGS.items():
            if number % 2:
                press_at_once(pilot, key, "enter")
                await pilot.pause()
            else:
                await _open(pilot, key, title)
                found.wrong += _wrong_focus(pilot, key)
                await pilot.press("enter")
            found.tried += 1
            if is_asking(pilot):  # a field goes on to the next, Cancel leaves
                await pilot.press("escape")
            await until(pilot, lambda: not is_asking(pilot))
            found.wrong += [f"{key} and Enter: {what}" for what in double.changing.asked]
            double.changing.asked.clear()
    return found


async def _open(pilot: Pilot[None], key: str, title: str) -> None:
    """Press a key until its dialog is there: it is refused where figures come late, as they may on a busy machine."""
    console = console_of(pilot)
    while title not in screen_text(console):
        console.shell.tell(Outcome(""))  # so that what is refused now is told apart from what was before
        await until(pilot, lambda: console.feed.is_live)
        await pilot.press(key)
        await until(pilot, lambda: any(text in screen_text(console) for text in (title, _NOT_LIVE)))


def _wrong_focus(pilot: Pilot[None], key: str) -> list[str]:
    """Return what is wrong with the focus of a dialog: it is drawn at what takes the keys, and that is never what says yes."""
    dialog = pilot.app.screen
    assert isinstance(dialog, Question)
    part, text = dialog.form.focused, screen_text(console_of(pilot))
    is_drawn = f"[[ {part.label}" in text if isinstance(part, Button) else "[[ " not in text
    wrong = [] if is_drawn else [f"{key}: the focus of {part.name} is not drawn"]
    return [*wrong, f"{key}: the focus is on yes"] if part.name == "yes" else wrong


async def change_while_asking(pilot: Pilot[None], double: EngineDouble, chance: random.Random, changes: int) -> Found:
    """Ask and answer while servers come, go, move and are changed by others, until there were so many changes of them."""
    found = Found()
    await at_servers(pilot)
    while found.tried < changes:
        await _look_around(pilot, chance)
        double.patches.clear()
        asked = await _ask(pilot, chance.choice(["d", "m"]))
        while asked and chance.random() < 0.8:
            for _ in range(_BATCH):
                _change_something(double, chance)
            found.tried += _BATCH
            await _see_news(pilot)
        await _answer(pilot)
        found.done += len(double.patches)
        found.wrong += [f"{name} was changed when {asked or 'nothing'} was asked" for name in _others(double, asked)]
        for one in double.servers:
            one["admin"], one["is_eligible"] = "ready", True
    if any(double.forced):
        found.wrong.append("something was forced")
    return found


def _others(double: EngineDouble, asked: str) -> list[str]:
    """Return what was changed and is not named in the question by its name, nor at its address when it was asked."""
    addresses = {one["id"]: one["address"] for one in double.servers}
    return [name for name, _ in double.patches if f" {name} ({addresses[name]}) " not in f" {asked} "]


async def _look_around(pilot: Pilot[None], chance: random.Random) -> None:
    """Move, sort, filter and mark, and now and then begin anew."""
    for key in chance.choices(LOOKING, k=3):
        await pilot.press(key)
        if key == "slash":
            await pilot.press(*chance.choice(FILTERS), "enter")
    if chance.random() < 0.5:
        await pilot.press("escape", "escape", "3")


async def _ask(pilot: Pilot[None], key: str) -> str:
    """Press a key that asks; return whom the question names, with their addresses then, empty where nothing is asked."""
    console = console_of(pilot)
    console.shell._said.say("")
    await pilot.press(key)
    # However slow the machine is: the key has worked when there is a question, or a reason why there is none.
    await until(pilot, lambda: is_asking(pilot) or console.shell._said.text)
    dialog = pilot.app.screen
    if not isinstance(dialog, Question):
        return ""
    await until(pilot, lambda: not is_asking(pilot) or "asking the engine" not in screen_text(console))
    scene = console.feed.scene
    if not dialog.asked.names or scene is None:
        return dialog.asked.title.replace("?", " ")
    rows = [row for row in map(scene.server, dialog.asked.names) if row is not None]
    return " ".join(f"{row.id} ({row.address}) " for row in rows)


async def _answer(pilot: Pilot[None]) -> None:
    """Say yes, and no to whatever is asked behind that: a name is never typed."""
    await pilot.press("y")
    if is_asking(pilot):
        await pilot.press("escape")
    await until(pilot, lambda: not [each for each in pilot.app.workers if each.group == "change"])
    if is_asking(pilot):  # the engine has refused it
        await pilot.press("escape")
        await until(pilot, lambda: not is_asking(pilot))


async def _see_news(pilot: Pilot[None]) -> None:
    """Wait until the console has seen what has changed."""
    feed = console_of(pilot).feed
    before = feed.scene.at if feed.scene else 0.0
    await until(pilot, lambda: feed.scene is not None and feed.scene.at > before)


def _change_something(double: EngineDouble, chance: random.Random) -> None:
    """Have servers come, go, move and be changed by somebody else."""
    chance.shuffle(double.servers)
    if chance.random() < 0.3 and len(double.servers) > 3:
        double.servers.pop(chance.randrange(len(double.servers)))
    if chance.random() < 0.3:
        taken = {one["name"] for one in double.servers}
        name = next(name for number in range(99) if (name := f"s{number}") not in taken)
        double.add({**server("app", name), "address": f"10.0.0.{chance.randrange(250)}:80"})
    if chance.random() < 0.3:
        one = chance.choice(double.servers)
        double.change(one, chance.choice(["ready", "maint"]), 100, BOB)
