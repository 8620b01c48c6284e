"""From haproxy.cfg to lbapp's configuration.

Responsible for what holds for the whole file: global, timeouts, logs, name servers, and which lines are not needed. Knows
nothing of quotes or files, nor of what a rule says.

Invariants: a request never goes where HAProxy would not send it because half of a rule was taken; what is not taken is left to
the ledger, which lists it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate import haproxy_pool, haproxy_routes
from lbapp.migrate.amounts import duration, seconds, size
from lbapp.migrate.haproxy_known import say_what_is_not_needed
from lbapp.migrate.haproxy_words import Section, has_variable, read
from lbapp.migrate.outcome import Ledger, Line, Outcome, finish

_LIMITS: Final = {
    "connect": ("connect_timeout",),
    "http-request": ("request_head_timeout",),
    "http-keep-alive": ("client_idle_timeout",),
    "tunnel": ("tunnel_idle_timeout",),
    "client": ("body_idle_timeout",),
    "server": ("response_timeout", "server_idle_timeout"),
}
_OLD_TIMEOUTS: Final = {"contimeout": "connect", "clitimeout": "client", "srvtimeout": "server"}
_BASES: Final = ("crt-base", "ca-base", "ssl-server-verify")
_RATES: Final = re.compile(r"http_req_rate\(([0-9]+(?:us|ms|s|m|h|d)?)\)").findall
_LOGS: Final = {"stdout": "stdout", "stderr": "stdout", "fd@1": "stdout", "fd@2": "stdout"}
_HEAD_MAX: Final = 1 << 20  # what lbapp may be told
_PAGES: Final = "lbapp answers errors with pages of its own"
_PLACE_OF_DNS: Final = re.compile(r"(?:udp@|tcp@)?([0-9.]+|\[[0-9A-Fa-f:]+\])(?::([0-9]+))?").fullmatch


def from_haproxy(text: str, origin: str) -> Outcome:
    """Return what came of a haproxy.cfg; `origin` names it. Raises LbappError where nothing could be made."""
    sections, outside = read(text)
    draft, ledger = Table(), Ledger()
    for line in outside:
        ledger.left(line, "it stands under a condition, or in no section")
    lines = [line for section in sections for line in (section.head, *section.lines)]
    for line in lines:
        if has_variable(line):
            ledger.left(line, "it has a variable of HAProxy's environment; write the value in its place")
        elif re.search(r'"[^"]*\$\{[A-Za-z0-9_]+-', line.text):
            ledger.differs(line, "the default of its variable is taken, whatever HAProxy's environment says")
    serving = [each for each in sections if each.kind in ("frontend", "listen", "backend")]
    of_global = {line.key: line for section in sections if section.kind == "global" for line in section.lines}
    pools = {each.name: each for each in serving if each.kind == "backend" or _has_servers(each)}
    _of_node(draft, ledger, of_global)
    _limits(draft, ledger, [each for each in serving if not haproxy_routes.is_only_shown(each, pools)])
    _logs(draft, ledger, sections, serving)
    _name_servers(draft, ledger, sections)
    bases: dict[str, str] = {
        key: of_global[key].words[1] for key in _BASES if key in of_global and len(of_global[key].words) > 1
    }
    file = haproxy_routes.File(ledger, pools, _periods(serving), bases.get("crt-base", ""), _tls_only_13(of_global))
    for section in serving:
        if section.kind != "backend":
            haproxy_routes.listeners(draft, file, section)
    for section in serving:
        if section.kind != "frontend":
            haproxy_pool.pool(draft, ledger, section, bases)
    for key in bases:
        ledger.not_needed(of_global[key], "the lines that go by it have it in them")
    _say_what_is_not_needed(draft, ledger, sections, serving)
    return finish(draft, [*outside, *lines], ledger, origin)


def _tls_only_13(of_global: dict[str, Line]) -> Line | None:
    """Return the line that keeps every address to TLS 1.3, unless it says otherwise itself; None: there is none."""
    line = of_global.get("ssl-default-bind-options")
    words = line.words if line is not None else ()
    is_13 = "force-tlsv13" in words or ("ssl-min-ver", "TLSv1.3") in pairwise(words)
    return line if is_13 else None


def _has_servers(section: Section) -> bool:
    return section.kind == "listen" and any(
        line.key in ("server", "server-template") for line in section.with_defaults()
    )


def _say_what_is_not_needed(draft: Table, ledger: Ledger, sections: list[Section], serving: list[Section]) -> None:
    said = draft.all_sources() | ledger.said
    inherited = {line.number for section in serving for line in section.with_defaults()}
    for section in sections:
        if section.kind in ("global", "defaults", "resolvers"):
            ledger.not_needed(section.head, "lbapp has no such section; see its lines")
        for line in section.lines:
            if line.number not in said:
                say_what_is_not_needed(ledger, line, section.kind)
            if line.key == "acl" and line.number not in said and line.number not in ledger.said:
                ledger.left(line, "no rule that asks it is taken")
            if section.kind == "defaults" and line.number not in inherited and line.number not in said and line.words:
                ledger.not_needed(line, "no proxy has it from here")
    for line in (line for each in sections if each.kind == "http-errors" for line in (each.head, *each.lines)):
        ledger.differs(line, _PAGES)
    for section in serving:
        if section.head.number not in said:
            ledger.not_needed(section.head, "it has no part of its own in what is served")
        _say_what_differs(ledger, section)


def _say_what_differs(ledger: Ledger, section: Section) -> None:
    for line in section.with_defaults():
        if line.words[:2] == ("option", "forwardfor"):
            _forwarded(ledger, line)
        elif line.key in ("errorfile", "errorfiles", "http-error"):
            ledger.differs(line, _PAGES)


def _forwarded(ledger: Ledger, line: Line) -> None:
    words = line.words[2:]
    name = words[words.index("header") + 1] if "header" in words[:-1] else "X-Forwarded-For"
    others = [word for word in words if word not in ("if-none", "header", name)]
    if others:
        ledger.differs(
            line, f"lbapp says X-Forwarded-For to every server, of every client; not taken: {' '.join(others)}"
        )
    elif name.lower() != "x-forwarded-for":
        ledger.differs(line, f"servers get X-Forwarded-For as well; what a client says of {name} is dropped")
    else:
        ledger.differs(
            line, "what a client says of X-Forwarded-For is dropped, unless it is of forwarding.trusted_proxies"
        )


def _limits(draft: Table, ledger: Ledger, serving: list[Section]) -> None:
    """Take the timeouts: those of a node are of all its proxies, so the longest of each is taken."""
    wanted: dict[str, list[tuple[float, Line]]] = {}
    seen: set[str] = set()
    for line in (line for section in serving for line in section.with_defaults()):
        names = _LIMITS.get(_timeout(line), ())
        amount = seconds(line.words[-1]) if names else None
        for name in names if amount and line.number not in seen else ():
            wanted.setdefault(name, []).append((amount or 0.0, line))
        seen.add(line.number)
    for name, found in wanted.items():
        longest = max(amount for amount, _ in found)
        draft.table("limits").put(name, duration(longest), *(line.number for _, line in found))
        for amount, line in found:
            if amount != longest:
                ledger.differs(line, f"{name} is of the whole node; the longest is taken, {duration(longest)}")
    for name in ("body_idle_timeout", "response_timeout"):
        for _, line in wanted.get(name, ()):
            ledger.differs(line, f"it stands for {name}; in tcp lbapp goes by tunnel_idle_timeout alone")


def _of_node(draft: Table, ledger: Ledger, of_global: dict[str, Line]) -> None:
    """Take what global says of the whole node."""
    of_node = of_global.get("maxconn")
    if of_node is not None and len(of_node.words) == 2 and of_node.words[1].isdigit():
        draft.table("limits").put("connections_max", int(of_node.words[1]), of_node.number)
        ledger.differs(of_node, "HAProxy lets clients wait beyond it, lbapp closes idle ones and then answers 503")
    buffer = of_global.get("tune.bufsize")
    if buffer is not None and buffer.words[-1].isdigit():
        draft.table("limits").put("head_size_max", size(min(int(buffer.words[-1]), _HEAD_MAX)), buffer.number)
    stop = of_global.get("hard-stop-after")
    if stop is not None and (amount := seconds(stop.words[-1])):
        draft.table("limits").put("stop_timeout", duration(amount), stop.number)


def _timeout(line: Line) -> str:
    if line.key == "timeout" and len(line.words) == 3:
        return line.words[1]
    return _OLD_TIMEOUTS.get(line.key, "") if len(line.words) == 2 else ""


def _logs(draft: Table, ledger: Ledger, sections: list[Section], serving: list[Section]) -> None:
    """Take where requests are logged, if any proxy logs them: one place for all, as lbapp has it."""
    places = [line for section in sections for line in section.lines if line.key == "log" and len(line.words) > 2]
    wishes = {line.number: line for section in serving for line in section.with_defaults() if line.key == "log"}
    if not places or not wishes:
        for line in (*places, *wishes.values()):
            ledger.not_needed(line, "no proxy logs its requests there")
        return
    place = places[0].words[1]
    to = _LOGS.get(place.split(":")[0].split("@")[0] if not place.startswith("fd@") else place, f"syslog:{place}")
    if not place.startswith("/") and to.startswith("syslog"):
        to = "syslog"
        ledger.differs(places[0], "lbapp logs to this machine's syslog, which may send it on")
    table = draft.table("access_log")
    table.put("to", to, places[0].number, *(number for number in wishes if number != places[0].number))
    formats = [
        line for section in serving for line in section.with_defaults() if line.words[:2] == ("option", "httplog")
    ]
    if formats:
        table.put("format", "httplog", *dict.fromkeys(line.number for line in formats))
    for line in places[1:]:
        if line.number not in wishes or line.words[1] != place:
            ledger.differs(line, f"all is logged to one place, that of line {places[0].number}")


def _name_servers(draft: Table, ledger: Ledger, sections: list[Section]) -> None:
    found: dict[str, list[str]] = {}
    for line in (line for section in sections if section.kind == "resolvers" for line in section.lines):
        place = _PLACE_OF_DNS(line.words[2]) if line.key == "nameserver" and len(line.words) == 3 else None
        if place is not None:
            address = place[1].strip("[]") if place[2] in (None, "53") else f"{place[1]}:{place[2]}"
            found.setdefault(address, []).append(line.number)
        elif line.key != "nameserver":
            ledger.not_needed(
                line, "a name is asked for again every 10 s, and the records of [pool.discover] when they run out"
            )
    if found:
        draft.table("engine").put(
            "nameservers", list(found), *(number for numbers in found.values() for number in numbers)
        )


def _periods(serving: Iterable[Section]) -> dict[float, tuple[str, ...]]:
    found: dict[float, tuple[str, ...]] = {}
    for line in (line for section in serving for line in section.lines if line.key == "stick-table"):
        for text in _RATES(line.text):
            amount = seconds(text)
            if amount:
                found[amount] = (*found.get(amount, ()), line.number)
    return found
