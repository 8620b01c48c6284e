"""The rules between the keys of one route: one action, and nothing beside it that would mean nothing.

Responsible for combinations that make no sense. Works on the data as TOML gives it and leaves wrong types to the schema.
Knows nothing of other tables. Invariant: a route that passes has exactly one action.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lbapp.config.lines import Path

_ACTIONS: Final = ("pool", "split", "redirect", "respond")
_TO_SERVERS_ONLY: Final = ("strip_prefix", "replace_prefix", "request_headers")


def route_rules(path: Path, route: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield the key path and the sentence of every combination in a route that makes no sense."""
    given = [key for key in _ACTIONS if key in route]
    if not given:
        yield path, "the route does nothing; give it a pool, a split, a redirect or respond"
    if len(given) > 1:
        yield (*path, given[1]), f"the route has {given[0]} already; keep one of {' and '.join(given)}"
    if given and given[0] in ("redirect", "respond"):
        for key in _TO_SERVERS_ONLY:
            if key in route:
                yield (
                    (*path, key),
                    f"{key} changes what a server gets, and with {given[0]} none gets anything; remove it",
                )
    if "split_by" in route and "split" not in route:
        yield (*path, "split_by"), "split_by has a meaning beside split only; remove it"
    if "strip_prefix" in route and "replace_prefix" in route:
        yield (*path, "replace_prefix"), "the route has strip_prefix already; keep one of them"
    yield from _split(path, route.get("split"))
    if route.get("redirect") == {} or set(_table(route.get("redirect"))) == {"status"}:
        yield (*path, "redirect"), "the redirect leads to where the client is; give it a scheme, host, port or path"
    body = _table(route.get("respond"))
    if body.get("status") == 204 and body.get("body"):
        yield (*path, "respond", "body"), "an answer with status 204 has no body; remove it"


def _split(path: Path, split: object) -> Iterator[tuple[Path, str]]:
    if not isinstance(split, list):
        return
    shares = [share for share in split if isinstance(share, dict)]
    if len(split) < 2:
        yield (*path, "split"), "a split needs two pools or more; with one, write pool"
    elif len(shares) == len(split) and all(share.get("weight") == 0 for share in shares):
        yield (*path, "split"), "every weight of the split is 0; give one of them more"
    names = [share.get("pool") for share in shares]
    for at, name in enumerate(names):
        if isinstance(name, str) and name in names[:at]:
            yield (*path, "split", at, "pool"), "the pool has a share of this split already; keep one"


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
