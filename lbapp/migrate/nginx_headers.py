"""Headers that nginx.conf says to servers and clients.

Responsible for proxy_set_header, add_header and proxy_hide_header. Knows nothing of routes. Invariant: what lbapp says itself
is never said a second time, and what it would say otherwise is listed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate.nginx_values import Scope, Target, template, with_constants
from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Ledger

_OURS: Final = {
    "x-forwarded-for": ("$proxy_add_x_forwarded_for", "$remote_addr"),
    "x-forwarded-host": ("$host", "$http_host", "$host:$server_port"),
}
_BY_ITSELF: Final = ("upgrade", "connection", "content-length", "te", "expect", "via")


def request_headers(ledger: Ledger, scope: Scope, target: Target, passed: Directive, *, is_tls: bool) -> Table:
    """Return the changes of what servers get: those of the nearest block, and the Host that nginx says by default."""
    table = Table()
    said, constants = scope.nearest("proxy_set_header"), scope.constants()
    for each in said:
        if len(each.words) == 2:
            _header(table, ledger, _known(each, constants), target, is_tls=is_tls)
    if not any(each.words[:1] and each.words[0].lower() == "host" for each in said):
        host = "localhost" if target.place.startswith("unix:") else target.place
        table.put("set", {**table.values.get("set", {}), "host": host}, passed.line.number)
    return table


def _known(each: Directive, constants: dict[str, str]) -> Directive:
    """Return a directive with what is known of the variables in its words."""
    words = tuple(with_constants(word, constants) for word in each.line.words)
    return replace(each, line=replace(each.line, words=words))


def _header(table: Table, ledger: Ledger, each: Directive, target: Target, *, is_tls: bool) -> None:
    name, text = each.words[0].lower(), each.words[1]
    scheme = "https" if is_tls else "http"
    if name == "host":
        text = target.place if text == "$proxy_host" else text
        if text in ("$host", "$http_host", "$host:$server_port", "$host:$proxy_port", "$http_host:$server_port"):
            ledger.not_needed(each.line, "lbapp passes on the Host of the request")
            return
    elif (
        name in _BY_ITSELF
        or text in _OURS.get(name, ())
        or (name == "x-forwarded-proto" and text in ("$scheme", scheme))
    ):
        ledger.not_needed(each.line, "lbapp says it by itself")
        return
    value = template(text)
    if text == "":
        table.put("remove", [*table.values.get("remove", []), name], each.line.number)
    elif value is None or name in (
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "forwarded",
    ):
        ledger.left(each.line, "lbapp cannot say this value, or says this header itself, of what it sees")
    else:
        table.put("set", {**table.values.get("set", {}), name: value}, each.line.number)


def response_headers(ledger: Ledger, scope: Scope) -> Table:
    """Return the changes of what clients get."""
    table, constants = Table(), scope.constants()
    for each in scope.nearest("add_header"):
        value = template(_known(each, constants).words[1]) if len(each.words) in (2, 3) else None
        if value is None:
            ledger.left(each.line, "lbapp cannot say this value")
            continue
        table.put("add", {**table.values.get("add", {}), each.words[0].lower(): value}, each.line.number)
        if "always" not in each.words[2:]:
            ledger.differs(each.line, "lbapp says it in every answer, also with errors of servers")
    for each in scope.nearest("proxy_hide_header"):
        table.put("remove", [*table.values.get("remove", []), each.words[0].lower()], each.line.number)
    return table
