"""Health checks of haproxy.cfg: httpchk, http-check, tcp-check and their kin, and the options of servers about checks.

Responsible for the health check of one pool. Knows nothing of servers beyond these options. Invariant: a probe is never taken
for one that asks for less without a word about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lbapp.config.draft import Table
from lbapp.config.expressions import expression
from lbapp.migrate.amounts import duration, seconds
from lbapp.migrate.outcome import Ledger, Line

Options = dict[str, str]  # of a server: by word, with its value
_ONLY_CONNECTS: Final = ("ssl-hello-chk", "mysql-check", "pgsql-check", "ldap-check", "smtpchk", "spop-check")
_CHECKS: Final = ("httpchk", "tcp-check", "redis-check", "external-check", *_ONLY_CONNECTS)
_OF_SERVERS: Final = (
    "inter",
    "rise",
    "fall",
    "fastinter",
    "downinter",
    "port",
    "check-ssl",
    "agent-port",
    "agent-inter",
)
_EVERY_STATUS: Final = range(100, 600)
_NO_CHECK: Final = "no server of the pool is checked"


def check(made: Table, ledger: Ledger, lines: list[Line], options: list[tuple[Line, Options]]) -> None:
    """Take the health check of a pool."""
    checked = [(line, found) for line, found in options if "check" in found]
    table = made.table("health_check")
    table.put("type", "tcp" if checked else "none", *(line.number for line, _ in checked))
    of_check = [line for line in lines if _is_of_check(line)]
    if not checked:
        for line in of_check:
            ledger.not_needed(line, _NO_CHECK)
    else:
        for line, found in options:
            if "check" not in found:
                ledger.differs(line, "the check is of the whole pool, so this server is checked, too")
        _probe(table, ledger, of_check)
        _pace(table, ledger, checked)
    _agent(table, options)


def _is_of_check(line: Line) -> bool:
    if line.key == "option":
        return line.words[1:2] != () and line.words[1] in _CHECKS
    return line.key in ("http-check", "tcp-check") or line.words[:2] == ("timeout", "check")


def _pace(table: Table, ledger: Ledger, checked: list[tuple[Line, Options]]) -> None:
    line, first = checked[0]
    table.put("interval", duration(seconds(first.get("inter", "2s")) or 2.0), line.number)
    for word, key in (("fastinter", "fast_interval"), ("downinter", "down_interval")):
        amount = seconds(first.get(word, ""))
        if amount:
            table.put(key, duration(amount), line.number)
    for key in ("rise", "fall", "port"):
        if first.get(key, "").isdigit():
            table.put(key, int(first[key]), line.number)
    if "check-ssl" in first or ("port" in first and "ssl" in first):
        table.put("tls", "check-ssl" in first, line.number)
    for other, found in checked[1:]:
        if any(found.get(key) != first.get(key) for key in _OF_SERVERS):
            ledger.differs(
                other, f"the check is of the whole pool: {', '.join(_OF_SERVERS[:6])} are those of line {line.number}"
            )


def _agent(table: Table, options: list[tuple[Line, Options]]) -> None:
    found = [(line, each) for line, each in options if "agent-check" in each and each.get("agent-port", "").isdigit()]
    if found:
        line, first = found[0]
        agent = table.table("agent", *(each.number for each, _ in found))
        agent.put("port", int(first["agent-port"]), line.number)
        interval = seconds(first.get("agent-inter", ""))
        if interval:
            agent.put("interval", duration(interval), line.number)


def _probe(table: Table, ledger: Ledger, lines: list[Line]) -> None:
    dialogue = [line for line in lines if line.key == "tcp-check"]
    for line in lines:
        word = line.words[1] if len(line.words) > 1 else ""
        if line.words[:2] == ("option", "httpchk"):
            _httpchk(table, ledger, line)
        elif line.words[:2] == ("option", "redis-check"):
            table.put("send", "PING\r\n", line.number)
            table.put("expect", "+PONG", line.number)
        elif line.words[:2] == ("option", "tcp-check"):
            table.note(line.number)
            _tcp_check(table, ledger, dialogue)
        elif line.key == "option" and word in _ONLY_CONNECTS:
            table.note(line.number)
            ledger.differs(line, "lbapp's probe connects, and says nothing of this protocol; see send and expect")
        elif line.key == "http-check" and any(each.words[:2] == ("option", "httpchk") for each in lines):
            _http_check(table, ledger, line)
        elif line.words[:2] == ("timeout", "check") and (limit := seconds(line.words[-1])):
            table.put("timeout", duration(limit), line.number)


def _httpchk(table: Table, ledger: Ledger, line: Line) -> None:
    words = line.words[2:]
    table.put("type", "http", line.number)
    table.put("method", words[0] if len(words) > 1 else "OPTIONS", line.number)
    table.put("path", words[min(1, len(words) - 1)] if words else "/", line.number)
    version, *fields = " ".join(words[2:]).split("\r\n")
    for each in fields:
        name, colon, value = each.partition(":")
        if colon:
            _field(table, line, name, value.strip())
    if version not in ("", "HTTP/1.1"):
        ledger.differs(line, "lbapp's probes are HTTP/1.1")


def _field(table: Table, line: Line, name: str, value: str) -> None:
    if name.lower() == "host":
        table.put("host", re.sub(r":[0-9]+$", "", value), line.number)
    else:
        table.put("headers", {**table.values.get("headers", {}), name.lower(): value}, line.number)


def _http_check(table: Table, ledger: Ledger, line: Line) -> None:
    words = line.words[1:]
    if words[:1] == ("send",):
        _send(table, ledger, line)
    elif words[:1] == ("expect",):
        _expect(table, ledger, line)
    elif words[:1] == ("disable-on-404",):
        table.put("not_found", "no_new_clients", line.number)
    elif words[:1] == ("connect",):
        table.note(line.number)
        unsaid = [word for word in words[1:] if word not in ("default", "linger")]
        if unsaid:
            ledger.differs(line, f"not taken of it: {' '.join(unsaid)}")
    else:
        ledger.left(line, "lbapp's probe has no such step")


def _send(table: Table, ledger: Ledger, line: Line) -> None:
    words = list(line.words[2:])
    table.note(line.number)
    while words:
        word = words.pop(0)
        if word in ("meth", "uri") and words:
            table.put({"meth": "method", "uri": "path"}[word], words.pop(0), line.number)
        elif word == "hdr" and len(words) > 1:
            name = words.pop(0)
            _field(table, line, name, words.pop(0))
        elif word == "ver" and words:
            words.pop(0)
        else:
            ledger.differs(line, f"not taken of it: {' '.join((word, *words))}")
            return


def _expect(table: Table, ledger: Ledger, line: Line) -> None:
    words = [word for word in line.words[2:] if word not in ("min-recv",)]
    is_not = words[:1] == ["!"]
    kind, *rest = words[is_not:] or [""]
    text = " ".join(rest)
    ranges = _statuses(kind, text, is_not=is_not)
    if ranges:
        table.put("expect_status", ranges, line.number)
    elif kind == "string" and text and not is_not:
        table.put("expect_body", text, line.number)
    elif kind == "rstring" and not is_not and _is_expression(text):
        table.put("expect_body_regex", text, line.number)
    else:
        ledger.left(line, "lbapp's probe cannot expect this")


def _statuses(kind: str, text: str, *, is_not: bool) -> list[str]:
    """Return the ranges of statuses that are good; none: it is about something else, or nothing is good."""
    if kind == "status" and re.fullmatch(r"[0-9]{3}(-[0-9]{3})?(,[0-9]{3}(-[0-9]{3})?)*", text):
        spans = [each.partition("-") for each in text.split(",")]
        good = [
            status for status in _EVERY_STATUS if any(int(low) <= status <= int(high or low) for low, _, high in spans)
        ]
    elif kind == "rstatus" and _is_expression(text):
        good = [status for status in _EVERY_STATUS if re.search(text, str(status))]
    else:
        return []
    return list(_spans([status for status in _EVERY_STATUS if (status in good) is not is_not]))


def _spans(numbers: list[int]) -> Iterator[str]:
    begin: Any = None
    for at, number in enumerate(numbers):
        begin = number if begin is None else begin
        if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
            yield f"{begin}-{number}" if begin != number else str(begin)
            begin = None


def _is_expression(text: str) -> bool:
    try:
        expression(text)
    except ValueError:
        return False
    return True


def _tcp_check(table: Table, ledger: Ledger, dialogue: list[Line]) -> None:
    """Take a dialogue of one question and one answer; of a longer one, that it connects."""
    steps = [line for line in dialogue if line.words[1:2] not in (("connect",), ("comment",))]
    can_say = [line.words[1:2] for line in steps] in ([("send",)], [("expect",)], [("send",), ("expect",)])
    is_text = all(len(line.words) > 2 and (line.words[1] == "send" or line.words[2] == "string") for line in steps)
    for line in dialogue:
        if line not in steps:
            table.note(line.number)
        elif not can_say or not is_text:
            ledger.left(line, "lbapp's probe says one thing and expects one; this one connects only")
        elif line.words[1] == "send":
            table.put("send", line.words[2], line.number)
        else:
            table.put("expect", " ".join(line.words[3:]), line.number)
