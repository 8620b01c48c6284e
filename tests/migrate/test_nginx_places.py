"""The order of locations, held against nginx's own rule for which one takes a path."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lbapp.migrate import matches
from lbapp.migrate.matches import Match
from lbapp.migrate.nginx_places import Place, in_order
from lbapp.migrate.nginx_values import Scope
from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Line

PREFIXES = ("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b")
EXPRESSIONS = ("b", "^/a", r"\.x$", "^/a/b$|c", "/b/")
PATHS = ("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/a.x", "/a/b.x", "/a/b/c/d.x", "/b", "/b/b", "/c", "/abc", "/x")


def place_of(kind: str, text: str) -> Place:
    directive = Directive(Line("1", f"location {kind} {text}", ("location", kind, text)), ())
    if kind == "~":
        return Place("~", text, matches.searched(text), directive, Scope())
    exact = matches.exactly(text) if kind == "=" else {} if text == "/" else matches.prefix(text)
    return Place(kind, text, None if exact is None else [exact], directive, Scope())


def taken_by_nginx(places: list[Place], path: str) -> Place | None:
    """ngx_http_core_find_location: exact, then the longest prefix, unless an expression comes before it."""
    exact = [place for place in places if place.kind == "=" and place.prefix == path]
    if exact:
        return exact[0]
    prefixes = [place for place in places if place.kind in ("", "^~") and path.startswith(place.prefix)]
    longest = max(prefixes, key=lambda place: len(place.prefix), default=None)
    if longest is not None and longest.kind == "^~":
        return longest
    return next((place for place in places if place.kind == "~" and re.search(place.prefix, path)), longest)


def takes(match: Match, path: str) -> bool:
    return path.startswith(match.get("path", "")) and re.fullmatch(match.get("path_regex", ".*"), path) is not None


@given(
    st.lists(
        st.tuples(st.sampled_from(("", "", "^~", "=")), st.sampled_from(PREFIXES))
        | st.tuples(st.just("~"), st.sampled_from(EXPRESSIONS)),
        max_size=8,
        # nginx refuses two of one prefix, whatever their kinds, and two that are equal.
        unique_by=lambda each: (each[0] if each[0] in ("=", "~") else "", each[1]),
    ),
    st.sampled_from(PATHS),
)
def test_first_route_that_takes_a_path_is_that_of_the_location_that_nginx_takes(
    kinds: list[tuple[str, str]], path: str
) -> None:
    places = [place_of(*each) for each in kinds]
    ordered = [(match, place) for found in in_order(places) for match, place in found]
    first = next((place for match, place in ordered if takes(match, path)), None)
    assert first == taken_by_nginx(places, path)
