"""Where nginx goes on by itself with what a location takes: to a location with a name, by try_files or by error_page.

Responsible for finding that location, and for what becomes of a status that has a page. Knows nothing of routes.

Invariants: a location with a name has what its server says, and nothing of the location that leads to it; a status that nginx
would answer otherwise is never answered as it stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from lbapp.migrate.nginx_places import Place
from lbapp.migrate.nginx_values import Scope
from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Ledger

_OF_SERVER: Final = 2  # blocks: that of http, or of the file, and that of the server
_REWRITES: Final = ("return", "rewrite", "if", "set", "break")


class Page(NamedTuple):
    """What an error_page has for a status: where it leads, and whether the status is another then."""

    uri: str
    is_other: bool
    directive: Directive


def page_for(scope: Scope, status: str) -> Page | None:
    """Return the page of a status; None: it has none."""
    for each in scope.nearest("error_page"):
        *codes, uri = each.words or ("",)
        if status in codes:
            return Page(uri, any(word.startswith("=") for word in codes) or "://" in uri, each)
    return None


def led_by_status(place: Place, ledger: Ledger) -> Place:
    """Return the location with a name that answers in place of one that returns a status of which it is the page."""
    first = next((each for each in place.directive.block or () if each.name in _REWRITES), None)
    if first is None or first.name != "return" or len(first.words) != 1:
        return place
    page = page_for(place.scope, first.words[0])
    named = _named(place, page.uri) if page is not None and page.is_other else None
    if page is None or named is None:
        return place
    for each in place.directive.all():
        ledger.not_needed(each.line, f"what is asked for here goes on to {page.uri}, and so do the routes")
    return named


def led_by_files(place: Place, ledger: Ledger) -> Place:
    """Return the location with a name that a location goes on to when there is no file, as there is none here."""
    tried = next(place.directive.of("try_files"), None)
    page = page_for(place.scope, "404")
    if tried is not None:
        uri, line = tried.words[-1] if tried.words else "", tried.line
    elif page is not None and page.is_other and not any(place.directive.of("proxy_pass")):
        uri, line = page.uri, page.directive.line
    else:
        return place
    named = _named(place, uri)
    if named is None:
        return place
    ledger.left(line, f"lbapp serves no files; all that is asked for here goes on as to {uri}")
    return named


def _named(place: Place, name: str) -> Place | None:
    above = Scope(place.scope.blocks[:_OF_SERVER])
    found = above.blocks[-1].by_name.get("location", ()) if name.startswith("@") else ()
    each = next((each for each in found if each.words == (name,)), None)
    return None if each is None else replace(place, directive=each, scope=above.inner(each.block))
