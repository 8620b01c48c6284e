"""Regular expressions as operators write them in routes: what compiles, and what cannot be made to take forever.

Responsible for the verdict on an expression before any request meets it. Python's `re` backtracks: there are expressions
that take exponential time on a few dozen letters of a client's choice. So an expression is read as a tree, and the ways in
which it may be tried on one text are counted: where what follows a repeat, an option or an alternative can begin with what
the repeat itself takes, each of its lengths is one way to try, and the ways of several such places multiply. More than
REGEX_WAYS_MAX are refused; so are repeats of anything with a choice in it, references back and looks around.
Knows nothing of keys, routes or requests.

Invariant: an expression that passes costs at most REGEX_WAYS_MAX passes over a text, which is REGEX_BYTES_MAX long at most.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, Final, NamedTuple

from lbapp.config.values import shown
from lbapp.model.limits import REGEX_BYTES_MAX, REGEX_WAYS_MAX

_EXPRESSION_LETTERS_MAX: Final = 512
_parser: Final[Any] = import_module("re._parser")  # the tree is not public; what it does not know is refused
_ALL: Final = frozenset(range(256))

Items = list[tuple[Any, Any]]


class _Unsafe(Exception):
    """Why an expression is refused."""


class _Measure(NamedTuple):
    """Of a part and all that follows it: with which letters it may begin, and how many ways there are to try."""

    first: frozenset[int]
    ways: int


def expression(value: object) -> str:
    """Return a regular expression that is safe to use on what clients send. Raises ValueError."""
    if not isinstance(value, str) or not value or len(value) > _EXPRESSION_LETTERS_MAX or not value.isascii():
        raise ValueError(
            f"{shown(value)} is not accepted; allowed: a regular expression in ASCII, "
            f"with at most {_EXPRESSION_LETTERS_MAX} letters"
        )
    try:
        re.compile(value.encode())
        tree = _parser.parse(value.encode())
        measure = _measure(list(tree), _Measure(frozenset(), 1))
    except re.error as error:
        raise ValueError(f"{shown(value)} is not a regular expression: {error}") from error
    except (RecursionError, OverflowError) as error:
        raise ValueError(f"{shown(value)} is not a regular expression: it is too deep or too large") from error
    except _Unsafe as unsafe:
        raise ValueError(f"{shown(value)} is not safe: {unsafe}") from unsafe
    if measure.ways > REGEX_WAYS_MAX:
        raise ValueError(
            f"{shown(value)} is not safe: there are too many ways to match one text, so that a client could make it take "
            "very long; let a repeat not take what follows it, such as [^/]+ before a slash in place of .+"
        )
    return value


def _measure(items: Items, behind: _Measure) -> _Measure:
    """Measure items in front of what is known of `behind`."""
    for kind, argument in reversed(items):
        behind = _measure_one(str(kind), argument, behind)
        if behind.ways > REGEX_WAYS_MAX**2:
            break  # refused anyway; the numbers need not grow
    return behind


def _measure_one(kind: str, argument: Any, behind: _Measure) -> _Measure:
    letters = _letters(kind, argument)
    if letters is not None:
        return _Measure(letters, behind.ways)
    if kind == "AT":
        return behind
    if kind == "SUBPATTERN":
        return _measure(list(argument[3]), behind)
    if kind == "ATOMIC_GROUP":
        return _measure(list(argument), behind)
    if kind == "BRANCH":
        return _alternatives([_measure(list(each), behind) for each in argument[1]])
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _repeat(argument[0], argument[1], list(argument[2]), behind)
    raise _Unsafe("references back, looks around and conditions are not offered")


def _alternatives(each: list[_Measure]) -> _Measure:
    first: frozenset[int] = frozenset()
    is_open = False
    for one in each:
        is_open = is_open or not one.first or bool(first & one.first)
        first |= one.first
    most = max(one.ways for one in each)
    return _Measure(first, sum(one.ways for one in each) if is_open else most)


def _repeat(lowest: int, highest: int, items: Items, behind: _Measure) -> _Measure:
    if highest <= 1:
        inner = _measure(items, behind)
        if lowest == highest:
            return inner if highest else behind
        return _alternatives([inner, behind])
    if _has_choice(items):
        raise _Unsafe(
            "what is repeated has a repeat, an option or an alternative in it, so that a client could make it take very long"
        )
    first = _measure(items, behind).first
    is_open = lowest != highest and bool(first & behind.first)
    lengths = min(highest, REGEX_BYTES_MAX) - min(lowest, REGEX_BYTES_MAX) + 1
    return _Measure(first | behind.first if lowest == 0 else first, behind.ways * (lengths if is_open else 1))


def _has_choice(items: Items) -> bool:
    """Say whether items can take texts of several lengths, or one text in several ways."""
    for kind, argument in items:
        name = str(kind)
        if _letters(name, argument) is not None or name == "AT":
            continue
        if name == "SUBPATTERN" and not _has_choice(list(argument[3])):
            continue
        if name.endswith("_REPEAT") and argument[0] == argument[1] and not _has_choice(list(argument[2])):
            continue
        return True
    return False


def _letters(kind: str, argument: Any) -> frozenset[int] | None:
    """Return which letters an item for one letter takes, in either case; None for any other item."""
    if kind == "LITERAL":
        return _either_case({argument})
    if kind == "NOT_LITERAL":
        return _ALL - _without_case({argument})
    if kind == "ANY":
        return _ALL
    if kind != "IN":
        return None
    if str(argument[0][0]) == "NEGATE":
        named = frozenset().union(*(_members(str(each), what) for each, what in argument[1:]))
        return _ALL - _without_case(named)
    return _either_case(frozenset().union(*(_members(str(each), what) for each, what in argument)))


def _members(kind: str, argument: Any) -> frozenset[int]:
    if kind == "LITERAL":
        return frozenset((argument,))
    if kind == "RANGE":
        return frozenset(range(argument[0], argument[1] + 1))
    assert kind == "CATEGORY"
    escape = {"DIGIT": rb"\d", "SPACE": rb"\s", "WORD": rb"\w"}[str(argument).rpartition("_")[2]]
    taken = frozenset(code for code in range(256) if re.match(escape, bytes((code,))))
    return _ALL - taken if "_NOT_" in str(argument) else taken


def _without_case(named: set[int] | frozenset[int]) -> frozenset[int]:
    """Return those of the letters left out that are left out in either case: with (?i) the others may be in."""
    return frozenset(code for code in named if _either_case({code}) <= named)


def _either_case(codes: set[int] | frozenset[int]) -> frozenset[int]:
    return frozenset(codes) | {ord(other) for code in codes if code < 128 for other in chr(code).swapcase()}
