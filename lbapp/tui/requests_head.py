"""The lines above the requests: how many there are, how they end, and for how long those in flight have been.

Responsible for the words and bars of the head at each width. Knows nothing of where figures come from. Invariants: what comes
from a sample says so; what is not known is `-`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lbapp.control.looking import Sessions
from lbapp.tui.bars import bar
from lbapp.tui.format import count, milliseconds, share
from lbapp.tui.glyphs import Glyphs, Tone
from lbapp.tui.sample import CLASSES, Group
from lbapp.tui.tones import Line, Piece

AGES: Final = (("<100ms", 0.1), ("<1s", 1.0), ("<10s", 10.0), (">10s", float("inf")))
WIDE: Final = 110
TALL: Final = 30
_NO_REQUEST: Final = frozenset({"idle", "handshake", "tunnel"})  # states of a connection that has none under way
_TOP: Final = 54  # cells of the left panel
_CLASS_TONES: Final[Mapping[str, Tone]] = {"2xx": "good", "3xx": "calm", "4xx": "warn", "5xx": "bad"}


@dataclass(frozen=True, slots=True)
class Ages:
    """How many are in flight, by how long they have been. `is_cut`: there are more of the youngest than were asked for."""

    counts: Sequence[int] = ()
    is_cut: bool = False

    @property
    def total(self) -> int | None:
        """All of them; None: not known."""
        return sum(self.counts) if self.counts else None


def ages_of(found: Sessions) -> Ages:
    """Return how old requests are that are in flight; connections without one are left out."""
    counts = [0] * len(AGES)
    for session in found["sessions"]:
        if session["state"] not in _NO_REQUEST:
            counts[next(at for at, (_, below) in enumerate(AGES) if session["busy_s"] < below)] += 1
    is_cut = len(found["sessions"]) < found["connections"] and all(
        each["state"] != "idle" for each in found["sessions"]
    )
    return Ages(counts, is_cut)


@dataclass(frozen=True, slots=True)
class Head:
    """The figures. `share`: of what ended, how much was seen; `classes`: of those seen; `top`: the largest groups."""

    requests_per_s: float | None = None
    share: float | None = None
    is_narrowed: bool = False  # by a view or a filter: all else is of those alone
    span_s: float = 0.0
    classes: Mapping[str, float] = field(default_factory=dict)
    ages: Ages = field(default_factory=Ages)
    grouping: str = "route"
    top: Sequence[Group] = ()
    problem: str = ""


def views_line(views: Sequence[str], current: str, said: str) -> Line:
    """Return the names of the views, the current one in brackets, and what is said of them."""
    names: list[Piece] = [(f"[{view}]", "calm") if view == current else (f" {view} ", "plain") for view in views]
    return [(" ", "plain"), *names, (f"  {said}" if said else "", "plain")]


def sample_words(head: Head) -> str:
    """Return how much of what ended is looked at: of failed and slow ones as many as come through."""
    if head.share is None:
        return "nothing seen yet"
    if head.share > 0.995:
        return "all of the filtered" if head.is_narrowed else "all of them"
    if head.share > 0.9:
        return f"{share(head.share)} {'of the filtered' if head.is_narrowed else '+ failed + slow'}"
    return f"1 in {count(round(1 / head.share, 1))} {'of the filtered' if head.is_narrowed else '+ failed + slow'}"


def head_lines(head: Head, glyphs: Glyphs, *, is_wide: bool) -> list[Line]:
    """Return the lines above the views."""
    problem: list[Line] = [[(f" {glyphs.over} {head.problem}", "bad")]] if head.problem else []
    return [*(_wide(head, glyphs) if is_wide else _narrow(head, glyphs)), *problem]


def _narrow(head: Head, glyphs: Glyphs) -> list[Line]:
    first: list[Piece] = [(f" {count(head.requests_per_s)} req/s  {sample_words(head)}  ", "plain")]
    for name in ("2xx", "4xx", "5xx"):
        figure = head.classes.get(name)
        first.append((f" {name} {share(figure)}", _CLASS_TONES[name] if figure else "plain"))
    second: list[Piece] = [(f" in flight {_in_flight(head.ages)}: ", "plain")]
    for at, (name, _) in enumerate(AGES):
        second.append((f"  {name} {_age(head.ages, at, glyphs)}", _age_tone(head.ages, at)))
    return [first, second]


def _in_flight(ages: Ages) -> str:
    return "-" if ages.total is None else f"{ages.total:,}{'+' if ages.is_cut else ''}"


def _age(ages: Ages, at: int, glyphs: Glyphs) -> str:
    if not ages.counts:
        return "-"
    text = f"{ages.counts[at]:,}{'+' if ages.is_cut and at == 0 else ''}"
    return f"{glyphs.over}{text}" if at == len(AGES) - 1 and ages.counts[at] else text


def _age_tone(ages: Ages, at: int) -> Tone:
    return "bad" if ages.counts and at == len(AGES) - 1 and ages.counts[at] else "plain"


def _wide(head: Head, glyphs: Glyphs) -> list[Line]:
    said = f" {count(head.requests_per_s)} req/s   looked at: {sample_words(head)}"
    names = (
        f" top by {head.grouping}, last {head.span_s:.0f}s",
        "how they ended",
        f"in flight {_in_flight(head.ages)}",
    )
    lines: list[Line] = [
        [(said, "plain")],
        [(f"{names[0]:<{_TOP}}", "plain"), (f"{names[1]:<33}", "plain"), (names[2], "plain")],
    ]
    for at, (status, (age, _)) in enumerate(zip(CLASSES, AGES, strict=True)):
        figure = head.classes.get(status)
        part = head.ages.counts[at] / head.ages.total if head.ages.total else None
        lines.append(
            [
                *_group(head, at),
                (f"{status} {bar(figure, 18, glyphs)}", _CLASS_TONES[status]),
                (f" {share(figure):>6}    ", "plain"),
                (f"{age:<6} ", "plain"),
                (bar(part, 14, glyphs), _age_tone(head.ages, at)),
                (f" {_age(head.ages, at, glyphs):>7}", _age_tone(head.ages, at)),
            ]
        )
    return lines


def _group(head: Head, at: int) -> list[Piece]:
    if at >= len(head.top):
        return [(" " * _TOP, "plain")]
    group = head.top[at]
    text = f" {count(group.requests_per_s):>6}/s {milliseconds(group.p99):>6}"
    return [
        (text, "plain"),
        (f" {share(group.failed):>5}", "bad" if group.failed else "plain"),
        (f"  {group.name:<{_TOP - 24}.{_TOP - 24}} ", "plain"),
    ]
