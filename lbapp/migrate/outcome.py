"""What came of a foreign configuration: the text for lbapp, and every line that is not in it as it was.

Responsible for settling a draft and for naming each line's fate. Knows nothing of any grammar.

Invariants: each line is in the text by its number, or listed with a reason, or both; a rule that kept clients out is never
counted with what nobody needs, and is taken as a whole or listed as not taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from lbapp.config.draft import Table, problems, settle, text_of
from lbapp.model.errors import LbappError

_UNKNOWN = "lbapp has no word for it, or not in this form"
# Passwords of lines that are listed only: what is said of them is written to a file that others may read.
_SECRET = re.compile(r"(\bstats\s+auth\s+[^\s:]+:|\b(?:insecure-)?password\s+)\S+")
_KEPT_OUT = "it kept clients out"


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `number`: from 1 on, as text, FILE:NUMBER in an included file; `words` is empty where a quote does not end."""

    number: str
    text: str
    words: tuple[str, ...]

    @property
    def key(self) -> str:
        """The first word."""
        return self.words[0] if self.words else ""


class Fate(Enum):
    """What becomes of a line that is not in the text as it was."""

    DIFFERS = "taken, but"
    NOT_NEEDED = "not needed"
    LEFT = "not taken"


@dataclass(frozen=True, slots=True)
class Note:
    """What is said of a line. `opens`: without it lbapp lets in whom it kept out."""

    number: str
    text: str
    why: str
    fate: Fate
    opens: bool = False

    def __str__(self) -> str:
        place = self.number if ":" in self.number else f"line {self.number}"
        opens = f", and {_KEPT_OUT.upper()}" if self.opens else ""
        return f"{place}: {self.fate.value}{opens}: {self.why}: {self.text}"


@dataclass
class Ledger:
    """What is said of lines while they are read, and the numbers of those that it is said of."""

    notes: list[Note] = field(default_factory=list)
    keep_out: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)
    not_taken: set[str] = field(default_factory=set)
    _known: set[tuple[str, str, Fate]] = field(default_factory=set)

    def left(self, line: Line, why: str) -> None:
        """Say that a line is not taken."""
        self.not_taken.add(line.number)
        self._note(line, why, Fate.LEFT)

    def differs(self, line: Line, how: str) -> None:
        """Say that a line is taken, and what is other than it was."""
        self._note(line, how, Fate.DIFFERS)

    def not_needed(self, line: Line, why: str) -> None:
        """Say that clients and servers meet the same without a line, and why."""
        self._note(line, why, Fate.NOT_NEEDED)

    def keeps_out(self, line: Line) -> None:
        """Say that a line keeps clients out, whatever comes of it."""
        self.keep_out.add(line.number)

    def _note(self, line: Line, why: str, fate: Fate) -> None:
        if (line.number, why, fate) not in self._known:
            self._known.add((line.number, why, fate))
            self.said.add(line.number)
            text = " ".join(_SECRET.sub(r"\1***", line.text).split())
            self.notes.append(Note(line.number, text, why, fate))


class NothingMade(LbappError):
    """Nothing that serves could be made of a file. `notes`: what is said of its lines."""

    def __init__(self, message: str, notes: tuple[Note, ...]) -> None:
        super().__init__(message, "Each line that is not taken is listed, with what stands in its way")
        self.notes = notes


@dataclass(frozen=True, slots=True)
class Outcome:
    """A valid configuration, and what is not in it as it was."""

    text: str
    notes: tuple[Note, ...]

    @property
    def left(self) -> int:
        """How many lines are not taken, or not all of them."""
        return len({note.number for note in self.notes if note.fate is Fate.LEFT})

    @property
    def differing(self) -> int:
        """How many differences there are in lines that are taken."""
        return sum(note.fate is Fate.DIFFERS for note in self.notes)

    @property
    def opened(self) -> int:
        """How many of the lines that are not taken kept clients out."""
        return len({note.number for note in self.notes if note.opens})


def finish(draft: Table, lines: Iterable[Line], ledger: Ledger, origin: str) -> Outcome:
    """Return what came of it. Raises NothingMade where nothing that serves could be made."""
    by_number = {line.number: line for line in lines}
    for taken_back in settle(draft):
        still = draft.all_sources()
        for number in taken_back.sources:
            if number not in still:
                ledger.left(by_number[number], f"lbapp refuses it ({taken_back.why})")
            elif number in taken_back.own:
                ledger.left(by_number[number], f"lbapp refuses a part of it ({taken_back.why})")
    taken = draft.all_sources()
    ledger.notes = [note for note in ledger.notes if note.fate is not Fate.NOT_NEEDED or note.number not in taken]
    said = taken | {note.number for note in ledger.notes}
    for number, line in by_number.items():
        if number not in said:
            ledger.left(line, _UNKNOWN)
    wrong = problems(draft)
    if wrong:
        for number in draft.all_sources():
            ledger.left(by_number[number], "what it belongs to leads nowhere")
    order = {number: at for at, number in enumerate(by_number)}
    notes = tuple(_with_what_opens(ledger, note) for note in sorted(ledger.notes, key=lambda note: order[note.number]))
    if wrong:
        raise NothingMade(f"nothing could be made of {origin}: {wrong[0]}", notes)
    head = f"# Made by `lbapp import` from {origin}; behind each key stands the line that it comes from.\n\n"
    tail = "".join(f"# {_on_one_line(str(note))}\n" for note in notes)
    return Outcome(head + text_of(draft) + (f"\n# What is not as it was:\n{tail}" if tail else ""), notes)


def _with_what_opens(ledger: Ledger, note: Note) -> Note:
    opens = note.fate is Fate.LEFT and note.number in ledger.keep_out
    return Note(note.number, note.text, note.why, note.fate, opens)


def _on_one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
