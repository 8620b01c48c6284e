"""What requests a route takes, put together from what another load balancer asks of them.

Responsible for the keys of a route that match (host, path, path_regex, method, headers), for turning expressions that are
searched for into such that have to match a whole path, and for two conditions at once. Knows nothing of grammars or of what
is done then.

Invariants: what comes out passes the rules of a route, so that no route is ever refused for what it matches; two conditions of
which a route has room for one only are no match at all, and never one of them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from lbapp.config import values
from lbapp.config.actions import header_matches
from lbapp.config.expressions import expression

Match = dict[str, Any]  # keys of [[listener.route]]; {}: every request
_ENDS: Final = re.compile(r"(?<!\\)(?:\\\\)*\$\Z")


def both(one: Match, other: Match) -> list[Match] | None:
    """Return what takes requests that both take; []: there are none, None: no route can say so."""
    found = dict(one)
    for key, value in other.items():
        if key not in found or found[key] == value:
            found[key] = value
        elif key == "path" and (found[key].startswith(value) or value.startswith(found[key])):
            found[key] = max(found[key], value, key=len)
        elif key == "headers":
            if any(found[key].get(name, wanted) != wanted for name, wanted in value.items()):
                return None
            found[key] = {**found[key], **value}
        elif key == "host" and "*" in found[key] + value:
            return _narrower_host(found, value)
        elif key == "path_regex":
            return None
        else:
            return []
    return [found]


def host(name: str) -> Match | None:
    """Return what takes requests for a host, or for every host below `*.example.com`."""
    return _checked("host", name, values.route_host)


def prefix(path: str, *, any_case: bool = False) -> Match | None:
    """Return what takes paths that begin so."""
    if any_case:
        return whole(f"{either_case(path)}.*")
    return _checked("path", path, values.path_prefix)


def exactly(path: str, *, any_case: bool = False) -> Match | None:
    """Return what takes one path. Its prefix is asked for first, so that no other has to be short enough for an expression."""
    if any_case or not path.startswith("/"):
        return whole(either_case(path)) if path.startswith("/") else None
    begin, found = prefix(path), whole(re.escape(path))
    return None if begin is None or found is None else {**begin, **found}


def whole(pattern: str) -> Match | None:
    """Return what takes paths that an expression matches from their first to their last letter."""
    return _checked("path_regex", pattern, expression)


def searched(pattern: str, *, any_case: bool = False) -> list[Match] | None:
    """Return one match for each alternative of an expression that is searched for in a path; None: it cannot be said."""
    found = [whole(_anchored(each, any_case=any_case)) for each in alternatives(pattern)]
    return None if any(each is None for each in found) else [each for each in found if each is not None]


def header(name: str, wanted: str | bool) -> Match | None:
    """Return what takes requests with a header of this value, or that have it, or that have it not."""
    value = wanted if isinstance(wanted, str) else {"present": wanted}
    return _header(name, value)


def header_like(name: str, pattern: str, *, any_case: bool = False) -> Match | None:
    """Return what takes requests with a header in which an expression is found."""
    found = [_header(name, {"regex": _anchored(each, any_case=any_case)}) for each in alternatives(pattern)]
    return found[0] if len(found) == 1 else None


def method(name: str) -> Match | None:
    """Return what takes requests of a method."""
    return _checked("method", name, values.method)


def either_case(text: str) -> str:
    """Return an expression for a text in any case."""
    return "".join(
        f"[{each.lower()}{each.upper()}]" if each.isascii() and each.isalpha() else re.escape(each) for each in text
    )


def alternatives(pattern: str) -> list[str]:
    """Return the parts of an expression between bars that stand in no group."""
    parts, depth, is_class, at = [""], 0, False, 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\":
            parts[-1] += pattern[at : at + 2]
            at += 2
            continue
        is_class = letter == "[" or (is_class and letter != "]")
        depth += 0 if is_class else {"(": 1, ")": -1}.get(letter, 0)
        if letter == "|" and depth == 0 and not is_class:
            parts.append("")
        else:
            parts[-1] += letter
        at += 1
    return parts


def _anchored(pattern: str, *, any_case: bool) -> str:
    begin = pattern[1:] if pattern.startswith("^") else f".*{pattern}"
    whole_pattern = begin[:-1] if _ENDS.search(begin) else f"{begin}.*"
    return f"(?i){whole_pattern}" if any_case else whole_pattern


def _narrower_host(found: Match, other: str) -> list[Match]:
    one: str = found["host"]
    inner, outer = sorted((one, other), key=lambda each: (not each.startswith("*."), len(each)), reverse=True)
    if outer.startswith("*.") and inner.endswith(outer[1:]):
        return [{**found, "host": inner}]
    return []


def _header(name: str, wanted: object) -> Match | None:
    lower = name.lower()
    try:
        header_matches({lower: wanted})
    except ValueError:
        return None
    return {"headers": {lower: wanted}}


def _checked(key: str, value: str, check: Any) -> Match | None:
    try:
        check(value)
    except ValueError:
        return None
    return {key: value}
