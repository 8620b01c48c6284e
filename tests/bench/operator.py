"""An operator at the console who presses any key, and a model of what each key may do.

Responsible for choosing keys from a seeded source, for reading off the screen whom a key may change before it is pressed, and for
comparing what the engine recorded with that. Knows nothing of engines.

The model: only keys in CHANGING ask for anything; what they ask for is done to the server under the cursor, to the one server
that the screen is about, or to those that were marked; an undo goes to servers that were changed before. An action belongs to the
last key of these that was pressed before the engine carried it out, as a dialog lets no other through. A screen on which no such
server can be read makes a key that cannot be judged: its actions are counted.

Invariant: every action that the engine recorded is judged, or counted as one that could not be.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.system.terminal import Terminal

CHANGING: Final = frozenset("dmew+-z")
_SERVER: Final = re.compile(r"\bapp/s\d+\b")
_MARKED: Final = re.compile(r"\bmark(?:ed|ing) (\d+)")
_DIALOG: Final = ("Cancel", "Weight of")
_ANSWERED: Final = 0.6  # of the keys pressed in a dialog are such as answer it
# Never q or Ctrl-C, which leave. FILTER is `/` and a few letters that change nothing wherever they go; DIGITS a weight.
_WEIGHTS: Final[Mapping[str, int]] = {
    "down": 14, "up": 10, "j": 4, "k": 4, "pagedown": 1, "pageup": 1, "home": 1, "end": 1, "g": 1, "G": 1,
    "1": 1, "2": 2, "3": 30, "4": 2, "5": 2, "6": 1, "7": 1, "enter": 4, "escape": 12, "tab": 1, "left": 2, "right": 2,
    "d": 14, "m": 5, "e": 7, "w": 9, "+": 8, "-": 8, "z": 7, "y": 4, "!": 1, "s": 2, "r": 1, "p": 1, "?": 2, "x": 1,
    "space": 2, "v": 1, "a": 1, "[": 1, "]": 1, "0": 1, "t": 1, "W": 1, "o": 1, "b": 1, "f": 1, "FILTER": 3, "DIGITS": 4,
}  # fmt: skip


@dataclass(slots=True)
class Verdict:
    """How many actions the engine recorded, how many of them could be judged, and a sentence about each that was wrong."""

    actions: int = 0
    judged: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Asked:
    at: float  # Unix seconds
    key: str
    may: frozenset[str]  # servers; empty: could not be read


class Operator:
    """One operator. `pressed` counts keys."""

    def __init__(self, terminal: Terminal, source: random.Random) -> None:
        self.pressed = 0
        self.verdict = Verdict()
        self._terminal = terminal
        self._source = source
        self._asked: list[_Asked] = []
        self._touched: set[str] = set()

    def press_any(self) -> str:
        """Press one key, or type a little; return what it was."""
        (key,) = self._source.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        is_asked = self._is_asked()
        if is_asked and self._source.random() < _ANSWERED:
            key = self._source.choice(("y", "enter", "DIGITS", "escape"))
        if key == "FILTER":
            key = "escape" if is_asked else "/" + "".join(self._source.choices("aps012", k=3))
        elif key == "DIGITS":
            key = str(self._source.randint(1, 256)) if _DIALOG[1] in self._terminal.text else "down"
        if key in CHANGING:
            # What is painted has to be where the console is: it may be behind with keys and frames.
            self._terminal.wait_until_idle()
            if not self._is_asked():
                self.note(key)
        self._terminal.press(key)
        self.pressed += 1
        return key

    def _is_asked(self) -> bool:
        """Say whether a dialog is open that changes something when it is answered."""
        return any(word in self._terminal.text for word in _DIALOG)

    def note(self, key: str) -> None:
        """Note, before a key is pressed, whom it may change."""
        if key in CHANGING:
            may = self._touched if key == "z" else self._meant()
            self._asked.append(_Asked(time.time(), key, frozenset(may)))

    def _meant(self) -> set[str]:
        """Return the marked servers and that of the cursor; nothing where some of them are out of sight."""
        marked = {name for line in self._terminal.lines if line.startswith("*") for name in _SERVER.findall(line)}
        said = _MARKED.search(self._terminal.text)
        if said is not None and int(said[1]) != len(marked):
            return set()
        return (marked | {self.target()}) - {""}

    def judge(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Compare what the engine has recorded since the last call with whom the keys may have changed."""
        for action in actions:
            self.verdict.actions += 1
            named = {change["on"] for change in action["changes"] if _SERVER.fullmatch(change["on"])}
            asked = next((each for each in reversed(self._asked) if each.at <= action["at"]), None)
            if asked is None:
                self.verdict.wrong.append(f"action {action['number']} changed {sorted(named)}, and no key had asked")
            elif asked.may:
                self.verdict.judged += 1
                if not named <= asked.may:
                    ago_s = action["at"] - asked.at
                    what = f"action {action['number']} changed {sorted(named)} and not of {sorted(asked.may)}"
                    self.verdict.wrong.append(f"{what}, for which {asked.key!r} had asked {ago_s:.2f} s before")
            self._touched |= named

    def target(self) -> str:
        """Return the server that is under the cursor, or the only one that the screen is about; empty if neither."""
        lines = self._terminal.lines
        found = {match for row in self._terminal.highlighted() for match in _SERVER.findall(lines[row])}
        found = found or set(_SERVER.findall(self._terminal.text))
        return found.pop() if len(found) == 1 else ""
