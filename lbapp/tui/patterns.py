"""Regular expressions that take no longer than the text is long.

Responsible for `.` `[a-z]` `\\d \\w \\s` `^ $` `* + ? {m,n}` `|` and groups, matched anywhere in a text, without regard to case.
Knows nothing of filters or rows.

Invariants: each character of a text is read once, whatever the pattern (Thompson, "Regular expression search algorithm",
1968, with the sets of states kept as they are met); a pattern that is wrong raises PatternError and nothing else; what is
kept of former texts is limited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

LENGTH_MAX: Final = 200
DEPTH_MAX: Final = 20
PARTS_MAX: Final = 2_000  # of a pattern, its repeats written out
STATES_KEPT: Final = 1_000
VERDICTS_KEPT: Final = 20_000

Accepts = Callable[[str], bool]
Edge = Literal["", "begin", "end"]
_KINDS: Final[dict[str, Accepts]] = {
    "d": str.isdigit,
    "w": lambda c: c.isalnum() or c == "_",
    "s": str.isspace,
    "D": lambda c: not c.isdigit(),
    "W": lambda c: not (c.isalnum() or c == "_"),
    "S": lambda c: not c.isspace(),
}


class PatternError(ValueError):
    """A pattern is wrong; says what of it."""


@dataclass(slots=True, eq=False)
class _Part:
    """A place in the pattern: goes on to `after` on a character it accepts, or at once where it accepts none.

    `only_at`: at once, but only there in a text.
    """

    accepts: Accepts | None = None
    after: list[_Part] = field(default_factory=list)
    only_at: Edge = ""


@dataclass(slots=True, eq=False)
class _State:
    """A set of places; `on`: where each character leads that was met there."""

    parts: frozenset[_Part]
    is_found: bool
    on: dict[str, _State] = field(default_factory=dict)


class Pattern:
    """One regular expression. Raises PatternError."""

    def __init__(self, text: str) -> None:
        if len(text) > LENGTH_MAX:
            raise PatternError(f"longer than {LENGTH_MAX} characters")
        self._found = _Part()
        self._begin = _Reader(text).read(self._found)
        self._states: dict[frozenset[_Part], _State] = {}
        self._verdicts: dict[str, bool] = {}

    def is_in(self, text: str) -> bool:
        """Say whether any part of the text matches."""
        verdict = self._verdicts.get(text)
        if verdict is None:
            if len(self._verdicts) >= VERDICTS_KEPT:
                self._verdicts.clear()
            verdict = self._verdicts[text] = self._search(text.lower())
        return verdict

    def _search(self, text: str) -> bool:
        state = self._state(_closed([self._begin], "begin"))
        for character in text:
            if state.is_found:
                return True
            state = state.on.get(character) or self._step(state, character)
        edges: tuple[Edge, ...] = ("end",) if text else ("begin", "end")
        return state.is_found or self._found in _closed(state.parts, *edges)

    def _step(self, state: _State, character: str) -> _State:
        following = [
            after
            for part in state.parts
            if part.accepts is not None and part.accepts(character)
            for after in part.after
        ]
        new = self._state(_closed([self._begin, *following]))
        state.on[character] = new
        return new

    def _state(self, parts: frozenset[_Part]) -> _State:
        if parts not in self._states:
            if len(self._states) >= STATES_KEPT:
                for state in self._states.values():
                    state.on.clear()
                self._states.clear()
            self._states[parts] = _State(parts, self._found in parts)
        return self._states[parts]


def _closed(parts: Iterable[_Part], *edges: Edge) -> frozenset[_Part]:
    """Return these places and all that is reached from them without a character, at these edges of the text."""
    reached: set[_Part] = set()
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        if part not in reached:
            reached.add(part)
            if part.accepts is None and (not part.only_at or part.only_at in edges):
                waiting += part.after
    return frozenset(reached)


# What a piece of a pattern is: given the place behind it, it returns the place it begins at.
_Piece = Callable[[_Part], _Part]


class _Reader:
    """Reads a pattern, which is about texts in small letters."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._parts = 0
        self._depth = 0

    def read(self, behind: _Part) -> _Part:
        """Return where the pattern begins."""
        piece = self._choices()
        if self._at < len(self._text):
            raise PatternError(") without (")
        return piece(behind)

    def _next(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _take(self) -> str:
        character = self._next()
        self._at += 1
        return character

    def _part(self, accepts: Accepts | None, after: list[_Part]) -> _Part:
        self._count()
        return _Part(accepts, after)

    def _count(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise PatternError("it repeats too much")

    def _choices(self) -> _Piece:
        choices = [self._sequence()]
        while self._next() == "|":
            self._take()
            choices.append(self._sequence())
        if len(choices) == 1:
            return choices[0]
        return lambda behind: self._part(None, [each(behind) for each in choices])

    def _sequence(self) -> _Piece:
        pieces: list[_Piece] = []
        while self._next() and self._next() not in "|)":
            pieces.append(self._repeated())

        def build(behind: _Part) -> _Part:
            for piece in reversed(pieces):
                behind = piece(behind)
            return behind

        return build

    def _repeated(self) -> _Piece:
        piece = self._one()
        while self._next() and self._next() in "*+?{":
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._next(), (-1, None))
            if least < 0:
                least, most = self._bounds()
            else:
                self._take()
            piece = self._repeat(piece, least, most)
        return piece

    def _bounds(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        least, comma, most = self._text[self._at + 1 : max(end, 0)].partition(",")
        if end < 0 or not least.isdecimal() or not (most.isdecimal() or not most):
            raise PatternError("{ is not {m}, {m,} or {m,n}")
        self._at = end + 1
        if not comma:
            return int(least), int(least)
        if most and int(most) < int(least):
            raise PatternError("{m,n} with n below m")
        return int(least), int(most) if most else None

    def _repeat(self, piece: _Piece, least: int, most: int | None) -> _Piece:
        def build(behind: _Part) -> _Part:
            start = behind
            if most is None:
                start = self._part(None, [behind])
                start.after.append(piece(start))
            for _ in range((most or least) - least):
                start = self._part(None, [behind, piece(start)])
            for _ in range(least):
                self._count()  # a piece may be empty, and yet be written out a million times
                start = piece(start)
            return start

        return build

    def _one(self) -> _Piece:
        character = self._take()
        if character in "*+?{":
            raise PatternError(f"{character} has nothing to repeat")
        if character == "(":
            return self._group()
        if character in "^$":
            return self._edge("begin" if character == "^" else "end")
        if character == ".":
            return self._of(lambda _: True)
        if character == "[":
            return self._of(self._set())
        return self._of(self._escaped() if character == "\\" else character.lower().__eq__)

    def _group(self) -> _Piece:
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._next() == "?":
            raise PatternError("(? is not known, but (?: is")
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise PatternError(f"more than {DEPTH_MAX} ( in each other")
        piece = self._choices()
        self._depth -= 1
        if self._take() != ")":
            raise PatternError("( without )")
        return piece

    def _escaped(self) -> Accepts:
        if not self._next():
            raise PatternError("\\ has nothing behind it")
        kind = self._take()
        if kind.isalnum() and kind not in _KINDS:
            raise PatternError(f"\\{kind} is not known")
        return _KINDS.get(kind, kind.__eq__)

    def _set(self) -> Accepts:
        is_inverted = self._next() == "^"
        if is_inverted:
            self._take()
        members: list[Accepts] = []
        while self._next() != "]" or not members:
            members.append(self._member())
        self._take()
        return lambda c: any(member(c) for member in members) != is_inverted

    def _member(self) -> Accepts:
        first = self._take().lower()
        if not first:
            raise PatternError("[ without ]")
        if first == "\\":
            return self._escaped()
        if self._next() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return first.__eq__
        self._take()
        last = self._take().lower()
        return lambda c: first <= c <= last

    def _of(self, accepts: Accepts) -> _Piece:
        return lambda behind: self._part(accepts, [behind])

    def _edge(self, edge: Edge) -> _Piece:
        def build(behind: _Part) -> _Part:
            self._count()
            return _Part(None, [behind], edge)

        return build
