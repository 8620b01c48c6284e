"""What an operator types behind `/`: which items of a list he wants to see.

Responsible for the grammar, the same on every list: `text`, `!text`, `"two words"`, `/regex/`, `pool:x` (has it), `pool=x` (is
it), `wgt<50`, `p99>=200ms`, joined by `and` (which may be left out) and `or`. Knows nothing of servers or requests: what can be
named is given.

Invariants: parsing never raises; a term that is unfinished or wrong is named in `problem` and left out, so that it hides
nothing; what is not known of an item is neither above nor below anything; an item costs time in proportion to its text.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from lbapp.tui.patterns import Pattern, PatternError

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)
Unit = Literal["", "ms", "s", "%", "bytes"]
Test = Callable[[Item_contra], bool]


@dataclass(frozen=True, slots=True)
class Number(Generic[Item_contra]):
    """A figure that can be named. `get` returns it in `unit`, or None; `%`: 0 to 100."""

    get: Callable[[Item_contra], float | None]
    unit: Unit = ""


@dataclass(frozen=True, slots=True)
class Words(Generic[Item_contra]):
    """A text that can be named."""

    get: Callable[[Item_contra], str]


Field = Number[Item_contra] | Words[Item_contra]


@dataclass(frozen=True, slots=True)
class Fields(Generic[Item_contra]):
    """What can be asked of one kind of item: by name (in small letters), and `text`: where bare words are looked for."""

    text: Callable[[Item_contra], str]
    named: Mapping[str, Field[Item_contra]]


class FilterError(ValueError):
    """A term is wrong or unfinished; says what of it."""


@dataclass(frozen=True, slots=True)
class Filter(Generic[Item]):
    """A parsed expression. `problem`: what of it is wrong and left out, as one sentence; empty when nothing is."""

    text: str
    problem: str
    any_of: tuple[tuple[Test[Item], ...], ...]

    def matches(self, item: Item) -> bool:
        """Say whether an item is wanted."""
        return not self.any_of or any(all(test(item) for test in all_of) for all_of in self.any_of)

    def keep(self, items: Iterable[Item]) -> list[Item]:
        """Return the wanted items in their order."""
        if not self.any_of:
            return list(items)
        if len(self.any_of) == 1 and len(self.any_of[0]) == 1:
            return list(filter(self.any_of[0][0], items))
        return list(filter(self.matches, items))


TEXT_MAX: Final = 400  # characters of an expression that are read
_TOKEN: Final = re.compile(
    r"""\s*(?P<all>(?P<no>!*)(?:
        (?P<regex>/(?:\\.|[^/\\])*/)(?=\s|$)
      | "(?P<quoted>[^"]*)"(?=\s|$)
      | (?P<name>\w+)(?P<sign><=|>=|!=|<|>|=|:)(?P<value>"[^"]*"(?=\s|$)|\S*)
      | (?P<word>\S*)
    ))""",
    re.VERBOSE | re.IGNORECASE,
)
_FIGURE: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([a-z%]*)", re.IGNORECASE)
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    ":": operator.eq,
    "!=": operator.ne,
}
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_THOUSANDS: Final = {"": 1.0, "k": 1e3, "m": 1e6}
_UNITS: Final[Mapping[Unit, Mapping[str, float]]] = {
    "": _THOUSANDS,
    "%": {"": 1.0, "%": 1.0},
    "s": {"": 1.0} | _SECONDS,
    "ms": {"": 1.0} | {unit: seconds * 1000 for unit, seconds in _SECONDS.items()},
    "bytes": {"": 1.0, "b": 1.0, "k": 1024.0, "m": 1024.0**2, "g": 1024.0**3}
    | {"kib": 1024.0, "mib": 1024.0**2, "gib": 1024.0**3},
}


def parse(text: str, fields: Fields[Item]) -> Filter[Item]:
    """Return what an operator typed as a filter; it is sound even when what he typed is not."""
    problem = f"only the first {TEXT_MAX} characters count" if len(text) > TEXT_MAX else ""
    any_of: list[list[Test[Item]]] = [[]]
    for token in _TOKEN.finditer(text[:TEXT_MAX]):
        said = token["all"]
        if not said or said.casefold() == "and":
            continue
        if said.casefold() == "or":
            any_of.append([])
            continue
        try:
            any_of[-1].append(_test(token, fields))
        except FilterError as error:
            problem = problem or f"{said}: {error}"
    return Filter(text, problem, tuple(tuple(all_of) for all_of in any_of if all_of))


def _test(token: re.Match[str], fields: Fields[Item]) -> Test[Item]:
    test = _positive(token, fields)
    return (lambda item: not test(item)) if len(token["no"]) % 2 else test


def _positive(token: re.Match[str], fields: Fields[Item]) -> Test[Item]:
    text, name = fields.text, (token["name"] or "").casefold()
    if token["regex"] is not None:
        return _pattern(token["regex"], text)
    if name in fields.named or name.isalpha():
        return _named(name, token["sign"], token["value"], fields)
    word = next(each for each in (token["quoted"], token["word"], token["all"].lstrip("!")) if each is not None)
    if not word:
        raise FilterError("what is not wanted is missing" if token["no"] else "there is nothing in the quotes")
    if token["quoted"] is None and word.startswith("/"):
        raise FilterError('a regex ends with /; text with a / stands in "quotes"')
    if token["quoted"] is None and word.startswith('"'):
        raise FilterError('" is missing at its end')
    wanted = word.casefold()
    return lambda item: wanted in text(item).casefold()


def _pattern(written: str, text: Callable[[Item], str]) -> Test[Item]:
    try:
        pattern = Pattern(written[1:-1])
    except PatternError as error:
        raise FilterError(str(error)) from error
    return lambda item: pattern.is_in(text(item))


def _named(name: str, sign: str, value: str, fields: Fields[Item]) -> Test[Item]:
    found = fields.named.get(name)
    if found is None:
        raise FilterError(f'no such field; there are {" ".join(fields.named)}; text with {sign} stands in "quotes"')
    value = value.strip('"')
    if not value:
        raise FilterError(f"something is missing behind {sign}")
    return _figure(found, sign, value) if isinstance(found, Number) else _words(found, sign, value)


def _words(field: Words[Item], sign: str, value: str) -> Test[Item]:
    wanted, get = value.casefold(), field.get
    if sign == ":":
        if len(value) > 1 and value[0] == value[-1] == "/":
            return _pattern(value, get)
        return lambda item: wanted in get(item).casefold()
    if sign not in ("=", "!="):
        raise FilterError(f"it is text: use : or = in place of {sign}")
    is_wanted = sign == "="
    return lambda item: (get(item).casefold() == wanted) is is_wanted


def _figure(field: Number[Item], sign: str, value: str) -> Test[Item]:
    units = _UNITS[field.unit]
    figure = _FIGURE.fullmatch(value)
    factor = units.get(figure[2].casefold()) if figure else None
    if figure is None or factor is None:
        allowed = " ".join(unit for unit in units if unit)
        raise FilterError(f"{value} is no number, with or without {allowed}")
    limit, compare, get = float(figure[1]) * factor, _COMPARE[sign], field.get

    def test(item: Item) -> bool:
        known = get(item)
        return known is not None and compare(known, limit)

    return test
