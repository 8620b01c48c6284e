"""From a backend of haproxy.cfg to a pool: balance, health check, cookie, servers.

Responsible for what these lines say in lbapp's words. Knows nothing of frontends.

Invariant: a server with an option that lbapp has no word for is taken with that option named, and one whose address cannot be
said is left whole.
"""

from __future__ import annotations

import re
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate.haproxy_words import Section
from lbapp.migrate.outcome import Ledger, Line

_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6, "d": 8.64e7}
_BALANCE: Final = {
    "static-rr": "weighted_round_robin", "leastconn": "least_connections", "source": "ip_hash", "first": "first",
}  # fmt: skip
_WITH_VALUE: Final = (
    "weight", "maxconn", "inter", "rise", "fall", "cookie", "fastinter", "downinter", "slowstart", "minconn", "id",
    "verify", "sni", "ca-file", "port", "addr", "on-marked-down", "on-marked-up", "resolvers", "init-addr", "observe",
    "error-limit", "on-error", "source", "maxqueue", "track", "proto", "alpn", "check-sni", "agent-port", "agent-inter",
)  # fmt: skip
_NAMED: Final = ("weight", "maxconn", "cookie", "inter", "rise", "fall", "check", "backup")


def seconds(text: str) -> float | None:
    """Return the seconds of a time such as `5s` or `5000`, which is in ms; None: it is no time."""
    match = re.fullmatch(r"([0-9]{1,9})(us|ms|s|m|h|d)?", text)
    return int(match[1]) * _MS[match[2] or "ms"] / 1000 if match else None


def duration(amount: float) -> str:
    """Return seconds as lbapp writes them."""
    return f"{amount:g}s" if amount >= 1 else f"{amount * 1000:g}ms"


def name(text: str) -> str:
    """Return a name that lbapp takes."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text).lstrip("._-")[:63] or "x"


def pool(draft: Table, ledger: Ledger, section: Section) -> None:
    """Take a backend, or a listen that has servers."""
    lines = list(section.with_defaults())
    servers = [line for line in lines if line.key == "server" and len(line.words) > 2]
    if section.kind == "listen" and not servers:
        return
    made = draft.add("pool", section.head.number)
    made.put("name", name(section.name), section.head.number)
    standard = {
        key: value for line in lines if line.key == "default-server" for key, value in _options(line.words[1:]).items()
    }
    options = [(line, {**standard, **_options(line.words[3:])}) for line in servers]
    is_weighted = any("weight" in found for _, found in options)
    modes = [line for line in lines if line.key == "mode"]
    if modes:
        made.note(modes[-1].number)
    _balance(made, ledger, lines, is_weighted=is_weighted)
    _check(made, ledger, lines, options)
    _cookie(made, ledger, lines)
    for line in lines:
        if line.key == "default-server":
            made.note(line.number)
            _unsaid(ledger, line, _options(line.words[1:]))
    for line, found in options:
        _server(made, ledger, line, found, is_weighted=is_weighted)


def _balance(made: Table, ledger: Ledger, lines: list[Line], *, is_weighted: bool) -> None:
    found = [line for line in lines if line.key == "balance" and len(line.words) > 1]
    word = found[-1].words[1] if found else "roundrobin"
    turn = "weighted_round_robin" if is_weighted else "round_robin"
    algorithm = turn if word == "roundrobin" else _BALANCE.get(word)
    if algorithm is None:
        ledger.left(found[-1], f"servers are chosen by {turn}, as by HAProxy's own default")
    elif found and word == "source":
        ledger.differs(found[-1], "clients meet the same server each time, but other ones than by HAProxy's hash")
    made.put("algorithm", algorithm or turn, *(found[-1].number for _ in found[:1] if algorithm))


def _check(made: Table, ledger: Ledger, lines: list[Line], options: list[tuple[Line, dict[str, str]]]) -> None:
    checked = [(line, found) for line, found in options if "check" in found]
    table = made.table("health_check")
    table.put("type", "tcp" if checked else "none", *(line.number for line, _ in checked))
    if not checked:
        return
    for line, found in options:
        if "check" not in found:
            ledger.differs(line, "the check is of the whole pool, so this server is checked, too")
    _probe(table, ledger, lines)
    first = checked[0][1]
    table.put("interval", duration(seconds(first.get("inter", "2s")) or 2.0), checked[0][0].number)
    for key in ("rise", "fall"):
        if first.get(key, "").isdigit():
            table.put(key, int(first[key]), checked[0][0].number)
    for line, found in checked[1:]:
        if any(found.get(key) != first.get(key) for key in ("inter", "rise", "fall")):
            ledger.differs(
                line, f"the check is of the whole pool: inter, rise and fall are those of line {checked[0][0].number}"
            )


def _probe(table: Table, ledger: Ledger, lines: list[Line]) -> None:
    for line in lines:
        if line.words[:2] == ("option", "httpchk"):
            words = line.words[2:]
            table.put("type", "http", line.number)
            table.put("method", words[0] if len(words) > 1 else "OPTIONS", line.number)
            table.put("path", words[min(1, len(words) - 1)] if words else "/", line.number)
            if len(words) > 2:
                ledger.differs(line, "lbapp's probes are HTTP/1.1, and what stands behind the path is not sent")
        elif line.words[:3] == ("http-check", "expect", "status") and len(line.words) == 4:
            table.put("expect_status", line.words[3].split(","), line.number)
        elif line.words[:2] == ("timeout", "check") and (limit := seconds(line.words[-1])):
            table.put("timeout", duration(limit), line.number)
    if table.values["type"] != "http" and "expect_status" in table.values:
        del table.values["expect_status"], table.sources["expect_status"]


def _cookie(made: Table, ledger: Ledger, lines: list[Line]) -> None:
    for line in lines:
        if line.key != "cookie" or len(line.words) < 3 or "insert" not in line.words:
            continue
        table = made.table("persistence", line.number)
        table.put("type", "cookie", line.number)
        table.put("cookie", line.words[1], line.number)
        for key, word in (("indirect", "indirect"), ("nocache", "nocache"), ("http_only", "httponly")):
            table.put(key, word in line.words, line.number)
        others = [word for word in line.words[2:] if word not in ("insert", "indirect", "nocache", "httponly")]
        more = f"; not taken: {' '.join(others)}" if others else ""
        ledger.differs(
            line, f"the value is signed and lasts as ttl and life say; HAProxy's cookies are balanced anew{more}"
        )


def _options(words: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(words):
        has_value = words[at] in _WITH_VALUE and at + 1 < len(words)
        found[words[at]] = words[at + 1] if has_value else ""
        at += 1 + has_value
    return found


def _unsaid(ledger: Ledger, line: Line, found: dict[str, str]) -> None:
    unsaid = [f"{key} {value}".strip() for key, value in found.items() if key not in _NAMED]
    if unsaid:
        ledger.differs(line, f"not taken of it: {', '.join(unsaid)}")


def _server(made: Table, ledger: Ledger, line: Line, found: dict[str, str], *, is_weighted: bool) -> None:
    address = line.words[2].removeprefix("ipv4@").removeprefix("unix@")
    if "ssl" in found or "send-proxy" in found or "send-proxy-v2" in found:
        ledger.left(line, "lbapp speaks TLS and PROXY to all servers of a pool or to none: [pool.tls], proxy_protocol")
        return
    if "disabled" in found:
        ledger.left(line, "it is disabled; lbapp keeps no such server in its file: lbapp add, when it is wanted")
        return
    server = made.add("server", line.number)
    server.put("name", name(line.words[1]), line.number)
    server.put("address", f"unix:{address}" if address.startswith("/") else address, line.number)
    if is_weighted:
        weight = found.get("weight", "1")
        server.put("weight", int(weight) if weight.isdigit() else weight, line.number)
    if found.get("maxconn", "0").isdigit() and found.get("maxconn", "0") != "0":
        server.put("connections_max", int(found["maxconn"]), line.number)
    if "backup" in found:
        server.put("backup", True, line.number)
    if "cookie" in found:
        ledger.differs(line, "the cookie's value is lbapp's own, not this one")
    _unsaid(ledger, line, _options(line.words[3:]))
