"""An operator at the console who presses any key, and a model of what each key may do.

Responsible for choosing keys from a seeded source, for reading off the screen whom a key may change before it is pressed, and for
comparing what the engine recorded with that. Knows nothing of engines.

The model: only keys in CHANGING and Enter in the menu of actions ask for anything; what they ask for is done to the server under
the cursor, to the one that the screen or the menu is about, or to those that were marked; an undo goes to servers that were
changed before. An action belongs to the last key that asks for such and was pressed before the engine carried it out, as a
dialog lets no other through. A screen on which no such server can be read makes a key that cannot be judged: its actions are
counted.

Invariant: every action that the engine recorded is judged, or counted as one that could not be.
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.system.terminal import Terminal

CHANGING: Final = frozenset("dmew+-z")
_SERVER: Final = re.compile(r"\bapp/s\d+\b")
_NAME: Final = re.compile(r"\bs\d+\b")  # on the screen of a pool
_OF_POOL: Final = re.compile(r"\bpool (app)  [\d,]+ of ")  # the line below the list, as the next
_OF_SERVER: Final = re.compile(r"^ server (app/s\d+)\b", re.MULTILINE)
_MENU: Final = re.compile(r"Actions(?:: (\S+)( and \d+ more)?)?")
_MARKED: Final = re.compile(r"\bmark(?:ed|ing) (\d+)")
_DIALOG: Final = ("Cancel", "Weight of")
_REMEMBERED: Final = 40  # keys, which a sentence about a wrong action tells
_ANSWERED: Final = 0.6  # of the keys pressed in a dialog are such as answer it
# Never q or Ctrl-C, which leave. FILTER is `/` and a few letters that change nothing wherever they go; DIGITS a weight.
_WEIGHTS: Final[Mapping[str, int]] = {
    "down": 14, "up": 10, "j": 4, "k": 4, "pagedown": 1, "pageup": 1, "home": 1, "end": 1, "g": 1, "G": 1,
    "1": 1, "2": 2, "3": 30, "4": 2, "5": 2, "6": 1, "7": 1, "enter": 4, "escape": 12, "tab": 1, "left": 2, "right": 2,
    "d": 14, "m": 5, "e": 7, "w": 9, "+": 8, "-": 8, "z": 7, "y": 4, "!": 1, "s": 2, "r": 1, "p": 1, "?": 2, "x": 1,
    "space": 2, "v": 1, "a": 1, "[": 1, "]": 1, "0": 1, "t": 1, "W": 1, "o": 1, "b": 1, "f": 1, "FILTER": 3, "DIGITS": 4,
}  # fmt: skip


_WEIGHT: Final = frozenset({("weight", "")})
_ASKS: Final[Mapping[str, frozenset[tuple[str, str]]]] = {
    "d": frozenset({("state", "drain"), ("state", "hard_drain")}), "m": frozenset({("state", "maint")}),
    "e": frozenset({("state", "ready")}), **dict.fromkeys("w+-", _WEIGHT),
}  # fmt: skip


def _word(change: Mapping[str, Any]) -> str:
    return str(change["after"]) if change["setting"] == "state" else ""


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
    seen: str  # the screen before the key

    def asks_for(self, action: Mapping[str, Any]) -> bool:
        """Say whether a key is of the kind that an action comes from."""
        if action["undoes"] or self.key == "z":
            return bool(action["undoes"]) and self.key == "z"
        wanted = _ASKS.get(self.key)
        if wanted is None:
            return True
        return all((each["setting"], _word(each)) in wanted for each in action["changes"])


class Operator:
    """One operator. `pressed` counts keys."""

    def __init__(self, terminal: Terminal, source: random.Random) -> None:
        self.pressed = 0
        self.verdict = Verdict()
        self._terminal = terminal
        self._source = source
        self._asked: deque[_Asked] = deque(maxlen=_REMEMBERED)
        self._keys: deque[str] = deque(maxlen=_REMEMBERED)
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
        if key in CHANGING or key == "enter":
            # What is painted has to be where the console is: it may be behind with keys and frames.
            self._terminal.wait_until_idle()
            if not self._is_asked():
                self.note(key)
        self._keys.append(f"{time.time() % 1000:.2f} {key}")
        self._terminal.press(key)
        self.pressed += 1
        return key

    def _is_asked(self) -> bool:
        """Say whether a dialog is open that changes something when it is answered."""
        return any(word in self._terminal.text for word in _DIALOG)

    def note(self, key: str) -> None:
        """Note, before a key is pressed, whom it may change."""
        if key in CHANGING or (key == "enter" and _MENU.search(self._terminal.text)):
            may = self._touched if key == "z" else self._meant()
            self._asked.append(_Asked(time.time(), key, frozenset(may), self._terminal.text))

    def _meant(self) -> set[str]:
        """Return the marked servers and that of the cursor; nothing where some of them are out of sight."""
        if (menu := _MENU.search(self._terminal.text)) is not None:
            return {menu[1]} if menu[1] and not menu[2] and _SERVER.fullmatch(menu[1]) else set()
        marked = {name for line in self._terminal.lines if line.startswith("*") for name in self._named(line)}
        said = _MARKED.search(self._terminal.text)
        if said is not None and int(said[1]) != len(marked):
            return set()
        return marked or {self.target()} - {""}

    def judge(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Compare what the engine has recorded since the last call with whom the keys may have changed."""
        for action in actions:
            self.verdict.actions += 1
            named = {change["on"] for change in action["changes"] if _SERVER.fullmatch(change["on"])}
            before = [each for each in self._asked if each.at <= action["at"] and each.asks_for(action)]
            asked = before[-1] if before else None
            if asked is None:
                self.verdict.wrong.append(f"action {action['number']} changed {sorted(named)}, and no key had asked")
            elif asked.may:
                self.verdict.judged += 1
                if not named <= asked.may:
                    ago_s = action["at"] - asked.at
                    what = f"action {action['number']} changed {sorted(named)} and not of {sorted(asked.may)}"
                    told = f"{what}, for which {asked.key!r} had asked {ago_s:.2f} s before"
                    keys = ", ".join(self._keys)
                    self.verdict.wrong.append(
                        f"{told}\n{dict(action)}\nkeys: {keys}\nseen before the key:\n{asked.seen}"
                    )
            self._touched |= named

    def target(self) -> str:
        """Return the server that is under the cursor, or the only one that the screen is about; empty if neither."""
        about = _OF_SERVER.search(self._terminal.text)
        if about is not None:
            return about[1]
        lines = self._terminal.lines
        found = {name for row in self._terminal.highlighted() for name in self._named(lines[row])}
        return found.pop() if len(found) == 1 else ""

    def _named(self, line: str) -> set[str]:
        """Return the servers that a row of the list names; on the screen of a pool they stand without it."""
        pool = _OF_POOL.search(self._terminal.text)
        if pool is None:
            return set(_SERVER.findall(line))
        name = _NAME.search(line)
        return {f"{pool[1]}/{name[0]}"} if name else set()
