"""Locations of nginx.conf, and the order in which nginx asks them.

Responsible for that order in words of routes, of which the first that matches decides. Knows nothing of what a location does.
Invariant: no location takes a request here that another one takes in nginx.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lbapp.migrate import matches
from lbapp.migrate.matches import Match
from lbapp.migrate.nginx_values import Scope
from lbapp.migrate.nginx_words import Directive


@dataclass(frozen=True, slots=True)
class Place:
    """A location: how it is asked for, its match, and the scope in it."""

    kind: str  # "=", "^~", "" for a prefix, "~" for an expression
    prefix: str
    found: list[Match] | None
    directive: Directive
    scope: Scope


def in_order(places: list[Place]) -> Iterator[list[tuple[Match, Place]]]:
    """Yield the locations as nginx asks them, each with its matches: the longest prefix unless an expression comes before it."""
    prefixes = sorted(
        (place for place in places if place.kind in ("", "^~")), key=lambda place: len(place.prefix), reverse=True
    )
    expressions = [place for place in places if place.kind == "~"]
    strong = [place.prefix for place in prefixes if place.kind == "^~"]
    yield from (_with_matches(place) for place in places if place.kind == "=")
    for place in prefixes:
        if place.kind == "^~":
            yield _with_matches(place)
        elif any(place.prefix.startswith(prefix) for prefix in strong):
            for each in expressions:
                yield [
                    (both, each)
                    for match, _ in _with_matches(each)
                    for both in matches.both({"path": place.prefix}, match) or ()
                ]
            yield _with_matches(place)
    yield from (_with_matches(place) for place in expressions)
    for place in prefixes:
        if place.kind == "" and not any(place.prefix.startswith(prefix) for prefix in strong):
            yield _with_matches(place)


def _with_matches(place: Place) -> list[tuple[Match, Place]]:
    return [(match, place) for match in place.found or ()]
