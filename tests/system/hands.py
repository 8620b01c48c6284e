"""What hands do at a console in a terminal, over and over: type behind a key that opens something, change and take back, write.

Responsible for doing each so many times with a real engine, and for what came of it. Knows nothing of how often is enough: the
suite does it a few times, `python -m tests.bench hands` many. Invariant: the same source does the same.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from lbapp.control.client import ControlClient
from tests.system.terminal import NotShown, Terminal

OPENERS: Final = "/w:"
WEIGHT: Final = "Weight of"  # stands in the dialog that asks for one
_COMMAND: Final = "Tab completes"
_PRINTABLE: Final = string.printable[:95]
_SERVER: Final = re.compile(r"app/s\d+")
_LIMIT_S: Final = 25.0
_SERVERS: Final = ("s1", "s2", "s3")
# Each state that a server can be in before, as a patch, with the keys that lead out of it.
_BEFORE: Final[tuple[tuple[dict[str, Any], tuple[str, ...]], ...]] = (
    ({"state": "ready", "weight": 100}, ("d", "m", "w", "+", "-")),
    ({"state": "drain", "weight": 100}, ("e", "m", "w", "+")),
    ({"state": "maint", "weight": 100}, ("e", "d", "-")),
    ({"state": "ready", "weight": 0}, ("w", "+", "m")),
)


def under_cursor(terminal: Terminal) -> str:
    """Return the id of the server whose row is highlighted; empty where none is."""
    found = [_SERVER.search(terminal.lines[row]) for row in terminal.highlighted()]
    return next((match[0] for match in found if match), "")


def go_to_servers(terminal: Terminal) -> None:
    """Go to the list of servers. Raises AssertionError."""
    terminal.press("3")
    with suppress(NotShown):
        # The head of a column that only this list has.
        terminal.until(lambda: "wgt" in terminal.text.lower() and under_cursor(terminal), 20.0)
        return
    last = bytes(terminal.raw[-300:])
    raise AssertionError(f"no screen lists the servers (ended: {terminal.process.poll()}, {last!r}):\n{terminal.text}")


def leave_to_servers(terminal: Terminal) -> None:
    """Press Esc until the list has the cursor again; nothing may follow Esc before it has worked, or both are one key."""
    for key in ("escape", "escape", "3", "escape", "3"):
        terminal.press(key)
        with suppress(NotShown):
            terminal.until(lambda: not _is_open(terminal) and under_cursor(terminal), 6.0)
            return
    raise AssertionError(f"Esc does not lead back to the servers:\n{terminal.text}")


def _is_open(terminal: Terminal) -> bool:
    return WEIGHT in terminal.text or _COMMAND in terminal.text


def type_bursts(terminal: Terminal, source: random.Random, count: int) -> Iterator[str]:
    """Press a key that opens something and 50 others at once, so many times; yield each burst when the list is back.

    Enter is not among them: what is typed is never meant to be done.
    """
    go_to_servers(terminal)
    for number in range(count):
        burst = OPENERS[number % len(OPENERS)] + "".join(source.choices(_PRINTABLE, k=50))
        terminal.press(burst)
        terminal.until(lambda: _is_open(terminal) or not under_cursor(terminal))
        leave_to_servers(terminal)
        yield burst


def take_back(terminal: Terminal, client: ControlClient, source: random.Random, count: int) -> Iterator[str]:
    """Change a server by a key and take it back by `z`, so many times; yield each as `d of drain 100`, `!` before what is not."""
    go_to_servers(terminal)
    combinations = [(before, key) for before, keys in _BEFORE for key in keys]
    for number in range(count):
        before, key = combinations[number % len(combinations)]
        name = source.choice(_SERVERS)
        for each in _SERVERS:  # the others serve, so that nothing has to be forced
            wanted = before if each == name else _BEFORE[0][0]
            client.patch_server("app", each, {"force": True, **wanted})  # type: ignore[typeddict-item]
        _put_cursor_on(terminal, f"app/{name}")
        is_back = _change_and_take_back(terminal, client, name, key)
        yield f"{'' if is_back else '!'}{key} of {before['state']} {before['weight']}"


def _change_and_take_back(terminal: Terminal, client: ControlClient, name: str, key: str) -> bool:
    was, actions = _settings(client, name), _actions(client)
    terminal.until(lambda: _row_says(terminal, name, was), _LIMIT_S)
    _press_and_agree(terminal, key)
    terminal.until(lambda: _actions(client) > actions, _LIMIT_S)
    changed = _settings(client, name)
    terminal.wait_until_idle()
    terminal.press("z")
    with suppress(NotShown):
        terminal.until(lambda: _settings(client, name) == was, _LIMIT_S)
    return _settings(client, name) == was != changed


def _press_and_agree(terminal: Terminal, key: str) -> None:
    """Press a key, and say yes to what it asks."""
    terminal.wait_until_idle()
    terminal.press(key)
    if key == "w":
        terminal.wait_for(WEIGHT)
        terminal.press("77", "enter")
    elif key in "dm":
        terminal.wait_for("Cancel")
        terminal.until(lambda: "stay for new clients" in terminal.text or "finish" in terminal.text)
        terminal.press("y")


def _row_says(terminal: Terminal, name: str, was: tuple[str, int]) -> bool:
    """Say whether the list shows a server as the engine has it."""
    row = next((line for line in terminal.lines if re.search(rf"\bapp/{name}\b", line) and "undo z" not in line), "")
    word = {"drain": "DRAIN", "maint": "MAINT"}.get(was[0], "")
    return (
        word in row
        and re.search(rf"\b{was[1]}\b", row) is not None
        and bool(word) == ("DRAIN" in row or "MAINT" in row)
    )


def _put_cursor_on(terminal: Terminal, server: str) -> None:
    terminal.press("home")
    for _ in range(5):
        terminal.wait_until_idle()
        if under_cursor(terminal) == server:
            return
        terminal.press("down")
    raise AssertionError(f"the cursor does not go to {server}:\n{terminal.text}")


def _settings(client: ControlClient, name: str) -> tuple[str, int]:
    found = next(one for pool in client.pools() for one in pool["servers"] if one["name"] == name)
    return found["admin"], found["weight"]


def _actions(client: ControlClient) -> int:
    return max((each["number"] for each in client.changes(5)["actions"]), default=0)


@contextmanager
def draft_of(terminal: Terminal, file: Path, lines: int) -> Iterator[None]:
    """Have the text of a configuration of so many lines in the editor of the console, the cursor on its last line."""
    text = file.read_text()
    file.write_text(
        text + "".join(f"# line {number}: nothing but length\n" for number in range(lines - text.count("\n")))
    )
    try:
        terminal.press("6")
        terminal.wait_for("no draft", timeout_s=30)
        terminal.press("i")
        terminal.wait_for("Esc leaves the text", timeout_s=30)
        terminal.wait_until_idle(30)
        yield
        terminal.press("escape")
        terminal.wait_until_gone("Esc leaves the text")
    finally:
        file.write_text(text)


def write_keys(source: random.Random, count: int) -> Sequence[str]:
    """Return keys that are written into a draft: letters, and now and then a way back or down."""
    return source.choices([*"abcxyz= #", "backspace", "down", "right"], k=count)
