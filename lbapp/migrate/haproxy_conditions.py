"""Conditions of haproxy.cfg: `if` and `unless` with ACLs, as what a route takes.

Responsible for ACLs by name and in braces, for what they look at, and for their negations (HAProxy's configuration manual,
section 7). Knows nothing of what is done under a condition.

Invariant: a condition is said whole or not at all: for None nothing may be done that it would have decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final, NamedTuple

from lbapp.migrate import matches
from lbapp.migrate.matches import Match
from lbapp.migrate.outcome import Line

_FETCH: Final = re.compile(
    r"(?:req\.|req_)?(f?hdr|cook|path|url|method|src|ssl_fc|ssl_fc_sni|ssl_sni|dst_port|always_true|always_false)"
    r"(?:_(beg|end|sub|dir|dom|reg|cnt|found))?(?:\(([A-Za-z0-9_-]+)\))?((?:,[a-z_]+(?:\(1,:\))?)*)"
).fullmatch
_CONVERTERS: Final = re.compile(r"(?:,lower|,field\(1,:\)|,host_only)*").fullmatch  # lbapp asks for no more of Host
_HELLOS: Final = ("req.ssl_hello_type", "req_ssl_hello_type", "req.ssl_ver", "req_ssl_ver")
_PREDEFINED: Final = {
    "TRUE": ("always_true",), "FALSE": ("always_false",), "METH_GET": ("method", "GET", "HEAD"),
    "LOCALHOST": ("src", "127.0.0.0/8", "::1"), "HTTP_URL_SLASH": ("path_beg", "/"),
    **{f"METH_{word}": ("method", word) for word in ("CONNECT", "DELETE", "HEAD", "OPTIONS", "POST", "PUT", "TRACE")},
}  # fmt: skip
_PORT_COMPARED: Final = "HAProxy compares the Host field with its port and in this case only, lbapp without"


@dataclass(frozen=True, slots=True)
class Choice:
    """One way for a condition to hold. `clients`: (whether they have to be in one of the networks, the networks)."""

    match: Match
    sources: tuple[str, ...] = ()
    clients: tuple[bool, tuple[str, ...]] | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Scene:
    """What is known where a condition is asked: the ACLs, the side of the client, and the headers that rules before it change."""

    acls: dict[str, list[Line]]
    is_tls: bool
    ports: frozenset[str]
    is_http: bool
    changed: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)  # the ACL lines of conditions that could be said


Choices = list[Choice]  # []: it never holds


def acls_of(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """Return the ACL lines by their names."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        if line.key == "acl" and len(line.words) > 2:
            found.setdefault(line.words[1], []).append(line)
    return found


def names_in(words: Sequence[str]) -> set[str]:
    """Return the words of a rule that may be names of ACLs."""
    return {word.lstrip("!") for word in words}


def condition_of(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a rule's words before its condition, and the condition with its `if` or `unless`."""
    at = next((at for at, word in enumerate(words) if word in ("if", "unless")), len(words))
    return tuple(words[:at]), tuple(words[at:])


def choices(scene: Scene, condition: Sequence[str]) -> Choices | None:
    """Return the ways for a condition to hold; None: it cannot be said."""
    if not condition:
        return [Choice({})]
    alternatives = _terms(condition[1:])
    if alternatives is None:
        return None
    if condition[0] == "unless":
        if len(alternatives) != 1 or len(alternatives[0]) != 1:
            return None
        is_not, words = alternatives[0][0]
        alternatives = [[(not is_not, words)]]
    found: Choices = []
    for terms in alternatives:
        together = _all_of(scene, terms)
        if together is None:
            return None
        found += together
    for name in names_in(condition):
        scene.said |= {line.number for line in scene.acls.get(name, ())}
    return found


def choices_of_negation(scene: Scene, condition: Sequence[str]) -> Choices | None:
    """Return the ways for a condition not to hold, where it is `unless`, or asks for several things not to be; None: neither."""
    if condition[:1] == ("unless",):
        return choices(scene, ("if", *condition[1:]))
    alternatives = _terms(condition[1:]) or []
    if len(alternatives) != 1 or not all(is_not for is_not, _ in alternatives[0]):
        return None
    return choices(scene, ("if", *_joined([words for _, words in alternatives[0]])))


def _joined(terms: list[tuple[str, ...]]) -> Iterator[str]:
    for at, words in enumerate(terms):
        yield from ("or",) * (at > 0)
        yield from (*words, "}") if words[0] == "{" else words


def _terms(words: Sequence[str]) -> list[list[tuple[bool, tuple[str, ...]]]] | None:
    """Return alternatives of terms, each with whether it is negated: the words in braces, or the name of an ACL alone."""
    found: list[list[tuple[bool, tuple[str, ...]]]] = [[]]
    at, is_not = 0, False
    while at < len(words):
        word = words[at]
        while word.startswith("!"):
            is_not, word = not is_not, word[1:]
        if word in ("or", "OR", "||"):
            found.append([])
        elif word == "{":
            end = next((each for each in range(at, len(words)) if words[each] == "}"), None)
            if end is None:
                return None
            found[-1].append((is_not, ("{", *words[at + 1 : end])))
            is_not, at = False, end
        elif word and word != "and":
            found[-1].append((is_not, (word,)))
            is_not = False
        at += 1
    return found if all(found) else None


def _all_of(scene: Scene, terms: list[tuple[bool, tuple[str, ...]]]) -> Choices | None:
    found: Choices = [Choice({})]
    unsaid = False
    names = [_term(scene, words) for is_not, words in terms if not is_not]
    asks_for_name = any(some and all("sni" in each.match for each in some) for some in names)
    for is_not, words in terms:
        if asks_for_name and not is_not and _is_hello(scene, words):
            continue  # only a TLS hello has a name
        some = _term(scene, words)
        some = _negated(some) if is_not and some is not None else some
        if some == []:
            return []  # whatever else is asked
        if some is None:
            unsaid = True
            continue
        pairs = [_and(one, other) for one in found for other in some]
        if any(each is None for each in pairs):
            unsaid = True
            continue
        found = [each for pair in pairs if pair is not None for each in pair]
    return None if unsaid else found


def _is_hello(scene: Scene, words: tuple[str, ...]) -> bool:
    if words[0] == "{":
        return len(words) > 1 and words[1] in _HELLOS
    lines = scene.acls.get(words[0], [])
    return bool(lines) and all(line.words[2] in _HELLOS for line in lines)


def _and(one: Choice, other: Choice) -> Choices | None:
    both = matches.both(one.match, other.match)
    if both is None or (one.clients is not None and other.clients is not None):
        return None
    sources = tuple(dict.fromkeys((*one.sources, *other.sources)))
    notes = tuple(dict.fromkeys((*one.notes, *other.notes)))
    return [Choice(match, sources, one.clients or other.clients, notes) for match in both]


def _negated(found: Choices) -> Choices | None:
    if not found:
        return [Choice({})]
    if any(each.match == {} and each.clients is None for each in found):
        return []
    first = found[0]
    sources = tuple(dict.fromkeys(number for each in found for number in each.sources))
    if all(each.match == {} and each.clients is not None and each.clients[0] for each in found):
        networks = tuple(net for each in found if each.clients is not None for net in each.clients[1])
        return [Choice({}, sources, (False, networks))]
    headers = first.match.get("headers", {})
    if len(found) == 1 and first.clients is None and set(first.match) == {"headers"} and len(headers) == 1:
        ((name, wanted),) = headers.items()
        absent = matches.header(name, False)
        if wanted == {"present": True} and absent is not None:
            return [Choice(absent, sources)]
    return None


def _term(scene: Scene, words: tuple[str, ...]) -> Choices | None:
    if words[0] == "{":
        return _criterion(scene, words[1:], ())
    lines = scene.acls.get(words[0])
    if lines is None:
        return _criterion(scene, _PREDEFINED[words[0]], ()) if words[0] in _PREDEFINED else None
    found: Choices = []
    for line in lines:
        some = _criterion(scene, line.words[2:], (line.number,))
        if some is None:
            return None
        found += some
    return found


def _criterion(scene: Scene, words: Sequence[str], sources: tuple[str, ...]) -> Choices | None:
    parsed = _FETCH(words[0]) if words else None
    flags, values = _flags(words[1:])
    if parsed is None or flags is None or not _CONVERTERS(parsed[4]):
        return None
    fetch, name = parsed[1], (parsed[3] or "").lower()
    way = flags.get("-m", parsed[2] or "str")
    if fetch in ("always_true", "always_false", "ssl_fc", "dst_port"):
        holds = _static(scene, fetch, values)
        return None if holds is None else [Choice({}, sources)] if holds else []
    if fetch == "src":
        networks = _networks(values) if way in ("str", "ip") else None
        return [Choice({}, sources, (True, networks))] if networks else None
    if (name in scene.changed and fetch.endswith("hdr")) or (fetch in ("ssl_sni", "ssl_fc_sni")) is scene.is_http:
        return None
    if way in ("found", "cnt"):
        values = [""] if way == "found" or values in (["gt", "0"], ["ge", "1"]) else []
    return _looked_at(_Look(fetch, name, way, "-i" in flags or "lower" in parsed[4]), values, sources)


class _Look(NamedTuple):
    """What a criterion looks at, and how."""

    fetch: str
    name: str
    way: str
    any_case: bool


def _looked_at(look: _Look, values: list[str], sources: tuple[str, ...]) -> Choices | None:
    """Return one choice for each value that is looked for, or more."""
    notes = (_PORT_COMPARED,) if look.name == "host" and look.way == "str" else ()
    found: Choices = []
    for value in values:
        some = _LOOKS[look.fetch](look, value) if look.fetch in _LOOKS else None
        if some is None:
            return None
        found += [Choice(match, sources, None, notes) for match in some]
    return found or None


def _flags(words: Sequence[str]) -> tuple[dict[str, str] | None, list[str]]:
    """Return the flags before the values, and the values; None for flags: one of them is not known here."""
    flags: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        flag = rest.pop(0)
        if flag == "--":
            break
        if flag not in ("-i", "-m", "-n") or (flag == "-m" and not rest):
            return None, []
        flags[flag] = rest.pop(0) if flag == "-m" else ""
    return flags, rest


def _static(scene: Scene, fetch: str, values: list[str]) -> bool | None:
    """Say what is decided by where the client came in; None: not by that."""
    if fetch == "dst_port":
        wanted = set(values[1:] if values[:1] == ["eq"] else values)
        if not scene.ports or not all(value.isdigit() for value in wanted):
            return None
        return True if scene.ports <= wanted else False if not scene.ports & wanted else None
    if fetch == "ssl_fc":
        return scene.is_tls if not values else None
    return fetch == "always_true"


def _networks(values: list[str]) -> tuple[str, ...] | None:
    try:
        return tuple(str(ip_network(value, strict=False)) for value in values)
    except ValueError:
        return None


def _path(look: _Look, value: str) -> list[Match] | None:
    quoted, any_case = re.escape(value), look.any_case
    if look.way == "str":
        return _one(matches.exactly(value, any_case=any_case))
    if look.way == "beg":
        return _one(matches.prefix(value, any_case=any_case)) if value.startswith("/") else None
    inside = re.escape(value.strip("/"))
    patterns = {"end": f"{quoted}$", "sub": quoted, "reg": value, "dir": f"^/(.*/)?{inside}(/.*)?$"}
    return matches.searched(patterns[look.way], any_case=any_case) if look.way in patterns else None


def _url(look: _Look, value: str) -> list[Match] | None:
    return _path(look, value) if look.way == "beg" and "?" not in value else None


def _method(look: _Look, value: str) -> list[Match] | None:
    return _one(matches.method(value)) if look.way == "str" else None


def _header(look: _Look, value: str) -> list[Match] | None:
    name, quoted = look.name, re.escape(value)
    if not name:
        return None
    if look.way in ("found", "cnt"):
        return _one(matches.header(name, True))
    if look.way == "str" and name == "host":
        return _one(matches.host(re.sub(r":[0-9]+$", "", value))) if "*" not in value else None
    if look.way == "str" and not look.any_case:
        return _one(matches.header(name, value))
    whole_label = rf"^(.*\.)?{re.escape(value.strip('.'))}([.:].*)?$"
    patterns = {
        "str": f"^{quoted}$", "beg": f"^{quoted}", "end": f"{quoted}$", "sub": quoted, "reg": value, "dom": whole_label,
    }  # fmt: skip
    return _one(matches.header_like(name, patterns[look.way], any_case=look.any_case)) if look.way in patterns else None


def _server_name(look: _Look, value: str) -> list[Match] | None:
    """Return what takes connections whose TLS hello asks for a name."""
    if look.way == "end" and value.startswith("."):
        value = f"*{value}"
    elif look.way != "str":
        return None
    found = matches.host(value)
    return None if found is None else [{"sni": found["host"]}]


def _one(found: Match | None) -> list[Match] | None:
    return None if found is None else [found]


_LOOKS: Final[dict[str, Callable[[_Look, str], list[Match] | None]]] = {
    "path": _path, "url": _url, "method": _method, "hdr": _header, "fhdr": _header, "ssl_sni": _server_name,
}  # fmt: skip
