"""From nginx.conf to lbapp's configuration.

Responsible for which blocks there are, for what holds for the whole file, and for naming what is not needed. Knows nothing of
grammar, nor of what a server block says.

Invariant: every directive of the file and of what it includes is in what comes out, or listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate.nginx_known import say_what_is_not_needed
from lbapp.migrate.nginx_limits import Limits
from lbapp.migrate.nginx_pool import Pools
from lbapp.migrate.nginx_servers import Server, Servers
from lbapp.migrate.nginx_stream import Streams
from lbapp.migrate.nginx_values import Scope
from lbapp.migrate.nginx_words import Directive, read
from lbapp.migrate.outcome import Ledger, Outcome, finish

_ORDER: Final = ("engine", "limits", "access_log", "listener", "pool")
_ZONES: Final = ("limit_req_zone", "limit_conn_zone")
_OF_PLACES: Final = frozenset(
    (
        "proxy_connect_timeout", "proxy_read_timeout", "proxy_send_timeout", "client_body_timeout",
        "client_header_timeout", "keepalive_timeout", "client_max_body_size", "proxy_set_header", "add_header",
        "proxy_hide_header", "proxy_timeout",
    )
)  # fmt: skip


def from_nginx(text: str, file: Path) -> Outcome:
    """Return what came of an nginx.conf. Raises LbappError where it cannot be read or nothing could be made."""
    top = read(file, text)
    draft, ledger = Table(), Ledger()
    # A part of a file, such as those in conf.d, says what stands in an http block, or in a stream block.
    parts = [each for each in top if each.name not in ("http", "stream", "events", "mail")]
    is_part = any(each.name in ("server", "upstream") for each in parts)
    is_stream = is_part and any(each.name == "server" and any(each.of("proxy_pass")) for each in parts)
    blocks = [(each, each.name == "stream") for each in top if each.name in ("http", "stream")]
    if is_part:
        blocks.append((Directive(parts[0].line, tuple(parts)), is_stream))
    limits = Limits(ledger)
    for block, is_of_stream in blocks:
        _block(draft, ledger, limits, block, is_of_stream=is_of_stream)
    for block, is_of_stream in sorted(blocks, key=lambda each: each[1]):
        _logs(draft, ledger, block, is_of_stream=is_of_stream)
    limits.put(draft)
    draft.values = {key: draft.values[key] for key in _ORDER if key in draft.values}
    lines = [each.line for directive in top for each in directive.all()]
    _say(draft, ledger, top)
    return finish(draft, lines, ledger, file.name)


def _block(draft: Table, ledger: Ledger, limits: Limits, block: Directive, *, is_of_stream: bool) -> None:
    upstreams = {each.words[0]: each for each in block.of("upstream") if each.words}
    pools = Pools(draft, ledger, upstreams)
    scope = Scope().inner(block.block)
    servers = list(block.of("server"))
    if is_of_stream:
        maps = {each.words[1]: each for each in block.of("map") if len(each.words) == 2}
        for server in servers:
            Streams(draft, ledger, pools, maps).listener(server, scope.inner(server.block))
        _say_of_maps(ledger, maps.values())
    else:
        zones = {name: each for each in block.of(*_ZONES) for name in _zone_names(each)}
        found = [Server(server, scope.inner(server.block)) for server in servers]
        Servers(draft, ledger, pools, limits, zones).listeners(found)
    _name_servers(draft, scope, servers)
    used = {key[0] for key in pools.made}
    for name, upstream in upstreams.items():
        if name not in used:
            for each in upstream.all():
                ledger.not_needed(each.line, "nothing is passed on to it")


def _zone_names(each: Directive) -> Iterator[str]:
    for word in each.words:
        if word.startswith("zone="):
            yield word.removeprefix("zone=").partition(":")[0]


def _say_of_maps(ledger: Ledger, maps: Iterable[Directive]) -> None:
    for each in maps:
        if each.words[:1] == ("$ssl_preread_server_name",):
            ledger.not_needed(each.line, "its names are those of routes")


def _logs(draft: Table, ledger: Ledger, block: Directive, *, is_of_stream: bool) -> None:
    """Take where requests and connections are logged: one place for all, as lbapp has it."""
    servers = list(block.of("server"))
    inner = (
        *block.of("access_log"),
        *(log for server in servers for part in server.all() for log in part.of("access_log")),
    )
    found = {id(each): each for each in inner}
    places = [each for each in found.values() if each.words and each.words[0] != "off" and servers]
    for each in found.values():
        if each not in places:
            why = "it says that less is logged; see [[listener]] access_log" if servers else "nothing is served here"
            ledger.not_needed(each.line, why)
    if not places:
        return
    table = draft.table("access_log")
    if "to" in table.values:
        for each in places:
            ledger.differs(each.line, f"all is logged to one place, that of line {table.sources['to'][0]}")
        return
    to = _place_of_logs(places[0].words[0])
    if to == "stdout" and places[0].words[0] != "/dev/stdout":
        ledger.differs(places[0].line, "lbapp logs to its standard output")
    elif to == "syslog" and "server=unix:" not in places[0].words[0]:
        ledger.differs(places[0].line, "lbapp logs to this machine's syslog, which may send it on")
    table.put("to", to, places[0].line.number)
    if not is_of_stream:
        table.put("format", "combined", places[0].line.number)
    for each in places[1:]:
        ledger.differs(each.line, f"all is logged to one place, that of line {places[0].line.number}")


def _place_of_logs(place: str) -> str:
    if place.startswith("syslog:"):
        return "syslog"
    return f"file:{place}" if place.startswith("/") and "$" not in place and not place.startswith("/dev/") else "stdout"


def _name_servers(draft: Table, scope: Scope, servers: list[Directive]) -> None:
    found: dict[str, list[str]] = {}
    resolvers = [
        *scope.nearest("resolver"),
        *(each for server in servers for part in server.all() for each in part.of("resolver")),
    ]
    for each in resolvers:
        for word in each.words:
            host, _, port = word.partition(":") if word.count(":") == 1 else (word.strip("[]"), "", "")
            try:
                address = str(ip_address(host))
            except ValueError:
                continue
            found.setdefault(f"{address}:{port}" if port not in ("", "53") else address, []).append(each.line.number)
    if found:
        draft.table("engine").put(
            "nameservers", list(found), *dict.fromkeys(number for all_ in found.values() for number in all_)
        )


def _say(draft: Table, ledger: Ledger, top: tuple[Directive, ...]) -> None:
    """Say what is not needed, and which of what is not taken kept clients out."""
    taken = draft.all_sources()
    for directive in (each for one in top for each in one.all()):
        number = directive.line.number
        if number in taken:
            continue
        say_what_is_not_needed(ledger, directive)
        if number in ledger.said:
            continue
        if (
            directive.name in ("http", "stream", "server", "location", "limit_req_zone", "limit_conn_zone")
            or directive.name in _ZONES
        ):
            ledger.not_needed(
                directive.line, "see what stands in it" if directive.block is not None else "no listener goes by it"
            )
        elif directive.name == "server_name":
            ledger.not_needed(directive.line, "no request is told from others by it")
        elif directive.name in _OF_PLACES:
            ledger.not_needed(directive.line, "nothing is passed on where it would hold")
        elif directive.name == "root" or directive.name == "error_page":
            _say_of_files(ledger, directive)


def _say_of_files(ledger: Ledger, directive: Directive) -> None:
    if directive.name == "error_page" and any(word.startswith(("=", "@")) for word in directive.words):
        ledger.left(directive.line, "lbapp answers errors with pages of its own, and goes nowhere else then")
    elif directive.name == "error_page":
        ledger.differs(directive.line, "lbapp answers errors with pages of its own")
    else:
        ledger.not_needed(directive.line, "no file is served from there")
