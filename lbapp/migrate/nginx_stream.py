"""Stream blocks of nginx.conf as tcp listeners.

Responsible for their servers, and for routes by the name of a TLS hello where a map chooses by $ssl_preread_server_name.
Knows nothing of HTTP. Invariant: no listener is made without the TLS that its address has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate import matches
from lbapp.migrate.amounts import duration, name, nginx_seconds
from lbapp.migrate.nginx_pool import Pools
from lbapp.migrate.nginx_servers import put_networks
from lbapp.migrate.nginx_values import Listen, Scope, listen, target, with_constants
from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Ledger, Line

_PREREAD: Final = "$ssl_preread_server_name"
_IDLE_S: Final = 600.0  # of proxy_timeout, where nothing is said
_EVERYWHERE: Final = ["0.0.0.0/0", "::/0", "unix:"]
_EXACT, _WILDCARD, _REGEX = range(3)  # in the order in which nginx asks for names
_OF_NAMES: Final = re.compile(
    r"~\*?\^(?:\((?:\?:)?([a-z0-9|-]+)\)|\.([+*])|(\((?:\?:)?\.[+*]\\\.\)\?))?((?:\\\.|[a-z0-9-])+)\$"
).fullmatch


@dataclass
class Streams:
    """Makes the listeners of a stream block. `maps`: by the variable that each sets."""

    draft: Table
    ledger: Ledger
    pools: Pools
    maps: dict[str, Directive]

    def listener(self, server: Directive, scope: Scope) -> None:
        """Make the listener of a server."""
        passed = next(server.of("proxy_pass"), None)
        found = [(each, listen(each.words, port=0)) for each in server.of("listen")]
        binds: list[tuple[Directive, Listen]] = []
        for each, address in found:
            if address is None or {"udp", "quic"} & set(each.words):
                self.ledger.left(each.line, "lbapp cannot listen so")
            else:
                binds.append((each, address))
        if passed is None or not binds:
            self.ledger.left(server.line, "it leads to no server that lbapp could send to")
            return
        listener = Table()
        lines = [each.line.number for each, _ in binds]
        listener.note(server.line.number)
        listener.put("name", self._name(binds[0][1]), server.line.number)
        listener.put("bind", [address.address for _, address in binds], *lines)
        listener.put("protocol", "tcp", server.line.number)
        if any("proxy_protocol" in each.words for each, _ in binds):
            listener.put("proxy_protocol", True, *lines)
            listener.put("proxy_protocol_from", _EVERYWHERE, *lines)
            self.ledger.differs(
                binds[0][0].line, "PROXY headers are believed of everybody; name your proxies in proxy_protocol_from"
            )
        self._times(listener, scope)
        admission = Table()
        put_networks(admission, scope.nearest("allow", "deny"))
        if admission.values:
            listener.values["admission"] = admission
        if any("ssl" in each.words for each, _ in binds) and not self._tls(listener, scope):
            self.ledger.left(server.line, "it has no certificate; nothing is made without its TLS")
            return
        self._lead(listener, scope, passed)
        if "pool" in listener.values or "route" in listener.values:
            self.draft.values.setdefault("listener", []).append(listener)

    def _name(self, address: Listen) -> str:
        wanted = name(f"tcp-{address.port or 'unix'}")
        taken = {each.values["name"] for each in self.draft.values.get("listener", [])}
        return wanted if wanted not in taken else f"{wanted}-{len(taken)}"

    def _times(self, listener: Table, scope: Scope) -> None:
        said = scope.last("proxy_timeout")
        wait = nginx_seconds(said.words[0]) if said is not None and said.words else _IDLE_S
        listener.put(
            "tunnel_idle_timeout", duration(wait or _IDLE_S), *([said.line.number] if said is not None else [])
        )
        connect = scope.last("proxy_connect_timeout")
        limit = nginx_seconds(connect.words[0]) if connect is not None and connect.words else None
        if connect is not None and limit:
            limits = self.draft.table("limits")
            limits.put("connect_timeout", duration(limit), connect.line.number)
            self.ledger.differs(connect.line, "connect_timeout is of the whole node")

    def _tls(self, listener: Table, scope: Scope) -> bool:
        files, keys = scope.nearest("ssl_certificate"), scope.nearest("ssl_certificate_key")
        for file, key in zip(files, keys, strict=False):
            if file.words and key.words:
                table = listener.table("tls").add("certificate", file.line.number)
                table.put("file", file.words[0], file.line.number)
                table.put("key", key.words[0], key.line.number)
        return "tls" in listener.values

    def _lead(self, listener: Table, scope: Scope, passed: Directive) -> None:
        text = with_constants(passed.words[0] if passed.words else "", scope.constants())
        by_name = self.maps.get(text)
        if by_name is None:
            pool = self._pool(text, scope, passed)
            if pool is not None:
                listener.put("pool", pool, passed.line.number)
            return
        if by_name.words[:1] != (_PREREAD,):
            self.ledger.left(
                passed.line, f"lbapp chooses a pool by the name in a TLS hello only, not by {by_name.words[0]}"
            )
            return
        wildcards = list(by_name.of("hostnames"))
        for each in wildcards:
            self.ledger.not_needed(each.line, "lbapp takes names with *. for those below in any case")
        entries = [each for each in by_name.block or () if each not in wildcards]
        found = [
            (rank, sni, each) for each in entries for rank, sni in self._names(each, has_wildcards=bool(wildcards))
        ]
        for _, sni, each in sorted(found, key=lambda one: (one[0], -len(one[1]) if one[0] == _WILDCARD else 0)):
            self._by_name(listener, scope, each, (sni, passed.line))

    def _names(self, each: Directive, *, has_wildcards: bool) -> Iterator[tuple[int, str]]:
        """Yield the names that an entry of a map is for, each with how early nginx asks for it; empty: for all others."""
        name = each.name
        if name == "default":
            yield _REGEX, ""
        elif name.startswith("~"):
            expanded = names_of(name)
            if not expanded:
                self.ledger.left(
                    each.line, "lbapp asks for whole names, and for *. before one; what it took goes to the others"
                )
            yield from ((_REGEX, one) for one in expanded)
        elif name.startswith(("*", ".")) and not has_wildcards:
            self.ledger.not_needed(each.line, "without hostnames nobody asks for such a name")
        elif matches.host(f"*{name}" if name.startswith(".") else name) is None:
            self.ledger.left(each.line, "lbapp asks for whole names, and for *. before one")
        elif name.startswith("."):
            yield _EXACT, name[1:]
            yield _WILDCARD, f"*{name}"
        else:
            yield _WILDCARD if name.startswith("*") else _EXACT, name

    def _by_name(self, listener: Table, scope: Scope, each: Directive, to: tuple[str, Line]) -> None:
        sni, passed = to
        pool = self._pool(each.words[0], scope, Directive(each.line)) if each.words else None
        if pool is None:
            self.ledger.left(each.line, "lbapp cannot pass on to it")
        elif not sni:
            listener.put("pool", pool, each.line.number, passed.number)
        else:
            route = listener.add("route", each.line.number, passed.number)
            route.put("sni", sni.lower(), each.line.number)
            route.put("pool", pool, each.line.number)

    def _pool(self, text: str, scope: Scope, passed: Directive) -> str | None:
        place = target(text, has_scheme=False)
        if place is None or place.uri or "$" in text:
            self.ledger.left(passed.line, "lbapp cannot pass on so")
            return None
        is_tls = scope.word("proxy_ssl") == "on"
        return self.pools.named(place.place, scope, passed, is_tls=is_tls, is_http=False)


def names_of(expression: str) -> list[str]:
    """Return the names that an expression of a map takes, such as `~^(a|b)\\.example\\.com$`; none: they cannot be said."""
    match = _OF_NAMES(expression)
    if match is None:
        return []
    some, many, maybe, rest = match[1], match[2], match[3], match[4].replace("\\.", ".")
    if some:
        return [f"{each}{rest}" for each in some.split("|")] if all(some.split("|")) else []
    if many:
        return [f"*{rest}"] if rest.startswith(".") else []
    return [rest, f"*.{rest}"] if maybe else [rest]
