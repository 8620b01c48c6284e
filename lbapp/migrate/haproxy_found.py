"""What the rules of one proxy of haproxy.cfg come to, before there are routes.

Responsible for the shapes of what is found. Knows nothing of how rules are read or of what becomes of them. Invariant: what
stands in `answers` and `guards` is in the order in which HAProxy asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lbapp.migrate.haproxy_conditions import Choice, Choices
from lbapp.migrate.outcome import Line


@dataclass(frozen=True, slots=True)
class Answer:
    """What requests of one choice get without a server: the key of the route and what stands below it."""

    choice: Choice
    key: str
    table: dict[str, Any]
    line: Line


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """A change of a header: of which side, and `set`, `add` or `remove`."""

    side: str
    how: str
    name: str
    value: str
    line: Line


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule that keeps out all that none of its choices takes. `answers`: how many answers stand before it."""

    choices: Choices
    status: int
    line: Line
    answers: int


@dataclass
class Effects:
    """What the rules of one proxy come to. `is_closed`: what later rules look at is not known."""

    guards: list[Guard] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    headers: list[HeaderChange] = field(default_factory=list)
    strip: tuple[str, Line] | None = None
    allow: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    deny: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    limits: dict[str, tuple[Any, tuple[str, ...]]] = field(default_factory=dict)
    is_closed: bool = False
