"""From haproxy.cfg to lbapp's configuration.

Responsible for what frontends, backends, listens and defaults say in lbapp's words, and for where that is not the same. Knows
nothing of quotes or files.

Invariants: a request never goes where HAProxy would not send it because half of a rule was taken; what is not taken is left to
the ledger, which lists it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate import haproxy_pool
from lbapp.migrate.haproxy_words import Section, read
from lbapp.migrate.outcome import Ledger, Line, Outcome, finish

_LIMITS: Final = {
    "connect": ("connect_timeout",),
    "http-request": ("request_head_timeout",),
    "http-keep-alive": ("client_idle_timeout",),
    "tunnel": ("tunnel_idle_timeout",),
    "client": ("body_idle_timeout",),
    "server": ("response_timeout", "server_idle_timeout"),
}
_SAME: Final = (
    ("option", "forwardfor"), ("option", "http-keep-alive"), ("option", "redispatch"), ("option", "dontlognull"), ("daemon",),
)  # fmt: skip
_RULES: Final = ("http-request", "tcp-request", "http-response", "block")
_REFUSALS: Final = {"deny", "reject", "tarpit", "auth", "silent-drop"}
_HOST: Final = ("hdr(host)", "req.hdr(host)", "hdr(Host)", "req.hdr(Host)")


def from_haproxy(text: str, origin: str) -> Outcome:
    """Return what came of a haproxy.cfg; `origin` names it. Raises LbappError where nothing could be made."""
    sections, outside = read(text)
    draft, ledger = Table(), Ledger()
    for line in outside:
        ledger.left(line, "it stands under a condition, or in no section")
    serving = [each for each in sections if each.kind in ("frontend", "listen", "backend")]
    _limits(draft, ledger, sections, serving)
    pools = {each.name for each in serving if each.kind != "frontend"}
    for section in serving:
        _inherit(ledger, section)
        if section.kind != "backend":
            _listener(draft, ledger, section, pools)
    for section in serving:
        if section.kind != "frontend":
            haproxy_pool.pool(draft, ledger, section)
    lines = [line for section in sections for line in (section.head, *section.lines)]
    _without_a_key(ledger, sections, lines)
    return finish(draft, [*outside, *lines], ledger, origin)


def _without_a_key(ledger: Ledger, sections: list[Section], lines: list[Line]) -> None:
    """Say what lines come to that no key of lbapp stands for."""
    for line in lines:
        if line.words[:2] in _SAME or line.words[:1] in _SAME:
            ledger.differs(line, "there is no key for it, as lbapp does so by itself")
        if line.key in _RULES and set(line.words[1:5]) & _REFUSALS:
            ledger.left(line, "lbapp lets in what this keeps out: see [listener.admission], or a route with respond")
    for section in sections:
        if section.kind in ("global", "defaults"):
            ledger.differs(section.head, "it has no name in lbapp; see its lines")


def _inherit(ledger: Ledger, section: Section) -> None:
    if len(section.head.words) > 2:
        ledger.differs(section.head, "the defaults before it hold, whatever stands behind its name")


def mode_of(section: Section) -> tuple[str, list[str]]:
    """Return the mode that holds, and the line that says so."""
    found = [line for line in section.with_defaults() if line.key == "mode" and len(line.words) > 1]
    return (found[-1].words[1], [found[-1].number]) if found else ("tcp", [])


def _limits(draft: Table, ledger: Ledger, sections: list[Section], serving: list[Section]) -> None:
    """Take the timeouts: those of a node are of all its proxies, so the longest of each is taken."""
    wanted: dict[str, list[tuple[float, Line]]] = {}
    seen: set[str] = set()
    for line in (line for section in serving for line in section.with_defaults()):
        names = _LIMITS.get(line.words[1], ()) if line.key == "timeout" and len(line.words) == 3 else ()
        seconds = haproxy_pool.seconds(line.words[2]) if names else None
        for name in names if seconds and line.number not in seen else ():
            wanted.setdefault(name, []).append((seconds or 0.0, line))
        seen.add(line.number)
    for line in (line for section in sections if section.kind == "global" for line in section.lines):
        if line.key == "maxconn" and len(line.words) == 2 and line.words[1].isdigit():
            draft.table("limits").put("connections_max", int(line.words[1]), line.number)
            ledger.differs(line, "HAProxy lets clients wait beyond it, lbapp closes idle ones and then answers 503")
    for name, found in wanted.items():
        longest = max(seconds for seconds, _ in found)
        draft.table("limits").put(name, haproxy_pool.duration(longest), *(line.number for _, line in found))
        for seconds, line in found:
            if seconds != longest:
                ledger.differs(
                    line, f"{name} is of the whole node; the longest is taken, {haproxy_pool.duration(longest)}"
                )
    for name in ("body_idle_timeout", "response_timeout"):
        for _, line in wanted.get(name, ()):
            ledger.differs(line, f"it stands for {name}; in tcp lbapp goes by tunnel_idle_timeout alone")


def _listener(draft: Table, ledger: Ledger, section: Section, pools: set[str]) -> None:
    mode, mode_sources = mode_of(section)
    lines = list(section.with_defaults())
    default = [line for line in lines if line.key == "default_backend" and len(line.words) == 2]
    is_listen = section.kind == "listen" and any(line.key == "server" for line in lines)
    if mode not in ("http", "tcp") or not (is_listen or default or any(line.key == "use_backend" for line in lines)):
        ledger.left(section.head, "it leads to no server that lbapp could send to")
        return
    binds = [bind for line in lines if line.key == "bind" for bind in _binds(ledger, line)]
    for at, (suffix, found) in enumerate(_by_tls(binds)):
        listener = draft.add("listener", section.head.number)
        listener.put("name", haproxy_pool.name(section.name) + (suffix if at else ""), section.head.number)
        listener.put("bind", [address for address, _ in found], *dict.fromkeys(line.number for _, line in found))
        listener.put("protocol", mode, *mode_sources)
        if default or is_listen:
            to, line = (default[-1].words[1], default[-1]) if default else (section.name, section.head)
            listener.put("pool", haproxy_pool.name(to), line.number)
        for file, number in dict.fromkeys((file, each.number) for _, each in found for file in _certificates(each)):
            listener.table("tls", number).add("certificate", number).put("file", file, number)
        _routes(listener, ledger, lines, pools)


def _binds(ledger: Ledger, line: Line) -> Iterator[tuple[str, Line]]:
    """Yield the addresses of a bind line, each with the line; a line with what would change who gets in is left."""
    options = list(line.words[2:])
    unknown = []
    while options:
        word = options.pop(0)
        if word in ("crt", "name", "alpn") and options:
            value = options.pop(0)
            if word == "alpn" and "h2" in value.split(","):
                ledger.differs(line, "lbapp speaks HTTP/1.1 only")
        elif word != "ssl":
            unknown.append(word)
    is_tls = "ssl" in line.words
    if unknown or len(line.words) < 2 or is_tls != bool(_certificates(line)):
        ledger.left(line, f"it cannot be said in lbapp's words: {' '.join(unknown) or 'ssl and crt belong together'}")
        return
    for each in line.words[1].split(","):
        host, colon, port = each.rpartition(":")
        if each.startswith(("/", "unix@/")):
            yield f"unix:{each.removeprefix('unix@')}", line
        elif colon and port.isdigit():
            host = host.removeprefix("ipv4@").removeprefix("ipv6@")
            bare = host.strip("[]")
            yield (f"[{bare}]:{port}" if ":" in host else f"{'0.0.0.0' if host in ('', '*') else host}:{port}"), line
        else:
            ledger.left(line, f"{each} is no single port")


def _by_tls(binds: list[tuple[str, Line]]) -> Iterator[tuple[str, list[tuple[str, Line]]]]:
    """Yield a listener's addresses: those without TLS and those with each set of certificates are listeners of their own."""
    groups: dict[tuple[str, ...], list[tuple[str, Line]]] = {}
    for address, line in binds:
        groups.setdefault(_certificates(line), []).append((address, line))
    for number, found in enumerate(groups.values()):
        yield f"-{number + 1}", found


def _certificates(line: Line) -> tuple[str, ...]:
    return tuple(file for word, file in zip(line.words, line.words[1:], strict=False) if word == "crt")


def _routes(listener: Table, ledger: Ledger, lines: list[Line], pools: set[str]) -> None:
    """Take use_backend rules in their order; behind one that cannot be said, none is: it might have come first."""
    is_closed = False
    for line in lines:
        if line.key != "use_backend":
            continue
        found = _conditions(line, lines) if not is_closed and len(line.words) > 1 and line.words[1] in pools else None
        if found is None:
            ledger.left(
                line, "a rule before it is not taken" if is_closed else "its conditions cannot be said in lbapp's words"
            )
            is_closed = True
            continue
        for matches, sources in found:
            route = listener.add("route", line.number)
            for key, value in matches.items():
                route.put(key, value, *sources)
            route.put("pool", haproxy_pool.name(line.words[1]), line.number)
            if "host" in matches:
                ledger.differs(line, "HAProxy compares the Host field with its port, lbapp without it")


def _conditions(line: Line, lines: list[Line]) -> list[tuple[dict[str, str], list[str]]] | None:
    """Return the matches of which one has to hold; None: it cannot be said."""
    words = line.words[2:]
    if not words:
        return [({}, [])]
    if words[0] != "if":
        return None
    found: list[tuple[dict[str, str], list[str]]] = []
    for alternative in re.split(r" (?:or|\|\|) ", " ".join(words[1:])):
        partial: list[tuple[dict[str, str], list[str]]] = [({}, [])]
        for name in alternative.split():
            acls = [each for each in lines if each.key == "acl" and each.words[1:2] == (name,)]
            choices = [(match, each.number) for each in acls for match in _acl(each.words[2:])]
            is_twice = any(
                set(had) & set(match) for had, _ in partial for match, _ in choices
            )  # a route has one of each
            if not acls or is_twice or any(not _acl(each.words[2:]) for each in acls):
                return None
            partial = [({**had, **match}, [*sources, number]) for had, sources in partial for match, number in choices]
        found += partial
    return found or None


def _acl(words: tuple[str, ...]) -> list[dict[str, str]]:
    """Return one match for each value of an ACL; none: it cannot be said."""
    criterion, values = words[0] if words else "", list(words[1:])
    is_any_case = values[:1] == ["-i"]
    values = values[is_any_case:]
    if any(value.startswith("-") for value in values):
        return []
    if criterion in _HOST and is_any_case:
        return [{"host": value} for value in values]
    if criterion == "path_beg" and not is_any_case:
        return [{"path": value} for value in values]
    if criterion == "path" and not is_any_case:
        return [{"path_regex": re.escape(value)} for value in values]
    if criterion == "method":
        return [{"method": value} for value in values]
    return []
