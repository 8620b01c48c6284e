"""What came of a foreign configuration: the text for lbapp, and every line that is not in it as it was.

Responsible for settling a draft and for naming each line's fate. Knows nothing of any grammar.

Invariant: each line is in the text by its number, or listed with a reason, or both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lbapp.config.draft import Table, problems, settle, text_of
from lbapp.model.errors import LbappError

_UNKNOWN = "lbapp has no word for it, or not in this form"


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `number` counts from 1, as text; `words` is empty where quotes do not end."""

    number: str
    text: str
    words: tuple[str, ...]

    @property
    def key(self) -> str:
        """The first word."""
        return self.words[0] if self.words else ""


@dataclass(frozen=True, slots=True)
class Note:
    """A line that is not taken, or `is_taken` with a difference."""

    number: str
    text: str
    why: str
    is_taken: bool

    def __str__(self) -> str:
        return f"line {self.number}: {'taken, but' if self.is_taken else 'not taken'}: {self.why}: {self.text}"


@dataclass
class Ledger:
    """What is said of lines while they are read."""

    notes: list[Note] = field(default_factory=list)

    def left(self, line: Line, why: str) -> None:
        """Say that a line is not taken."""
        self.notes.append(Note(line.number, line.text, why, is_taken=False))

    def differs(self, line: Line, how: str) -> None:
        """Say that a line is taken, and what is other than it was."""
        self.notes.append(Note(line.number, line.text, how, is_taken=True))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A valid configuration, and what is not in it as it was."""

    text: str
    notes: tuple[Note, ...]

    @property
    def left(self) -> int:
        """How many lines are not taken."""
        return len({note.number for note in self.notes if not note.is_taken})


def finish(draft: Table, lines: Iterable[Line], ledger: Ledger, origin: str) -> Outcome:
    """Return what came of it. Raises LbappError where nothing that serves could be made."""
    by_number = {line.number: line for line in lines}
    for sources, why in settle(draft):
        still = draft.all_sources()
        for number in sorted(sources - still, key=int):
            ledger.left(by_number[number], f"lbapp refuses it ({why})")
    said = draft.all_sources() | {note.number for note in ledger.notes}
    for number, line in by_number.items():
        if number not in said:
            ledger.left(line, _UNKNOWN)
    wrong = problems(draft)
    if wrong:
        for number in draft.all_sources():
            ledger.left(by_number[number], "what it belongs to leads nowhere")
    notes = tuple(sorted(ledger.notes, key=lambda note: int(note.number)))
    if wrong:
        raise LbappError(f"nothing could be made of {origin}: {wrong[0]}", "\n".join(["", *map(str, notes)]))
    head = f"# Made by `lbapp import` from {origin}; behind each key stands the line that it comes from.\n\n"
    tail = "".join(f"# {_on_one_line(str(note))}\n" for note in notes)
    return Outcome(head + text_of(draft) + (f"\n# What is not as it was:\n{tail}" if tail else ""), notes)


def _on_one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
