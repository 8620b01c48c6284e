"""Server blocks of nginx.conf as listeners: one for all addresses on which the same server blocks wait for the same.

Responsible for addresses, names of servers, certificates, and who is let in. Knows nothing of locations.

Invariants: no listener is made without the TLS that its address has; a rule that holds for some of the server blocks of an
address is never taken for all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from lbapp.config.draft import Table
from lbapp.migrate import matches
from lbapp.migrate.amounts import name
from lbapp.migrate.matches import Match
from lbapp.migrate.nginx_limits import Limits
from lbapp.migrate.nginx_locations import Locations
from lbapp.migrate.nginx_pool import Pools
from lbapp.migrate.nginx_values import Listen, Scope, listen
from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Ledger

_EVERYWHERE: Final = ["0.0.0.0/0", "::/0", "unix:"]
_RATE: Final = re.compile(r"rate=([0-9]+)r/([sm])").fullmatch
_BY_CLIENT: Final = ("$binary_remote_addr", "$remote_addr")


@dataclass(frozen=True, slots=True)
class Server:
    """A server block in its scope."""

    directive: Directive
    scope: Scope

    @property
    def names(self) -> list[str]:
        """What it is called."""
        return [word for each in self.directive.of("server_name") for word in each.words]


@dataclass
class Address:
    """An address, and the server blocks that wait there, with their listen directives, in their order."""

    listen: Listen
    waiting: list[tuple[Server, Listen, Directive]] = field(default_factory=list)

    @property
    def words(self) -> set[str]:
        """All words behind it."""
        return {word for _, each, _ in self.waiting for word in each.words}

    @property
    def is_tls(self) -> bool:
        """Whether clients speak TLS there."""
        return "ssl" in self.words or any(server.scope.word("ssl") == "on" for server, _, _ in self.waiting)

    @property
    def default(self) -> Server:
        """The server block for who asks for none of the names."""
        wanted = [server for server, each, _ in self.waiting if {"default_server", "default"} & set(each.words)]
        return (wanted or [self.waiting[0][0]])[0]

    def key(self) -> tuple[Any, ...]:
        """Return what addresses of one listener have in common."""
        servers = tuple(id(server.directive) for server, _, _ in self.waiting)
        options = tuple(sorted(self.words & {"proxy_protocol", "deferred"}))
        return (
            servers,
            id(self.default.directive),
            self.is_tls,
            options,
            self.listen.address.startswith("[::]") and "ipv6only=off" in self.words,
        )


@dataclass
class Servers:
    """Makes the listeners of an http block. `zones`: what limit_req_zone and limit_conn_zone say, by their names."""

    draft: Table
    ledger: Ledger
    pools: Pools
    limits: Limits
    zones: dict[str, Directive]

    def listeners(self, servers: list[Server]) -> None:
        """Make them."""
        addresses: dict[str, Address] = {}
        for server in servers:
            for each in server.directive.of("listen"):
                found = listen(each.words)
                if found is None or {"quic", "udp"} & set(each.words):
                    self.ledger.left(each.line, "lbapp cannot listen so")
                else:
                    addresses.setdefault(found.address, Address(found)).waiting.append((server, found, each))
            if not any(server.directive.of("listen")):
                everywhere = Listen("0.0.0.0:80", ())
                addresses.setdefault(everywhere.address, Address(everywhere)).waiting.append(
                    (server, everywhere, server.directive)
                )
        groups: dict[tuple[Any, ...], list[Address]] = {}
        for address in addresses.values():
            groups.setdefault(address.key(), []).append(address)
        for group in groups.values():
            self._listener(group)

    def _listener(self, group: list[Address]) -> None:
        first = group[0]
        listener = Table()
        lines = [each.line.number for address in group for _, _, each in address.waiting]
        default = first.default
        listener.note(default.directive.line.number)
        listener.put("name", self._name(first), default.directive.line.number)
        listener.put("bind", [address.listen.address for address in group], *dict.fromkeys(lines))
        listener.put("protocol", "http")
        self._options(listener, first, lines)
        if first.is_tls and not self._tls(listener, first):
            self.ledger.left(first.waiting[0][2].line, "it has no certificate; nothing is made without its TLS")
            return
        self._admit(listener, first)
        self._routes(listener, first)
        if "pool" in listener.values or "route" in listener.values:
            self.draft.values.setdefault("listener", []).append(listener)
        else:
            self.ledger.left(default.directive.line, "it leads to no server that lbapp could send to")

    def _name(self, address: Address) -> str:
        names = [each for each in address.default.names if matches.host(each) is not None and "*" not in each]
        stem = names[0] if names else "https" if address.is_tls else "http"
        wanted = name(f"{stem[:50]}-{address.listen.port or 'unix'}")
        taken = {each.values["name"] for each in self.draft.values.get("listener", [])}
        at, found = 2, wanted
        while found in taken:
            found, at = f"{wanted}-{at}", at + 1
        return found

    def _options(self, listener: Table, address: Address, lines: list[str]) -> None:
        scope = address.default.scope
        real, header = scope.nearest("set_real_ip_from"), scope.word("real_ip_header").lower()
        networks = [each.words[0] for each in real if each.words]
        numbers = [each.line.number for each in (*real, *scope.nearest("real_ip_header"))]
        if "proxy_protocol" in address.words:
            listener.put("proxy_protocol", True, *lines)
            is_named = header == "proxy_protocol" and networks
            listener.put(
                "proxy_protocol_from", networks if is_named else _EVERYWHERE, *(numbers if is_named else lines)
            )
            if not is_named:
                self.ledger.differs(
                    address.waiting[0][2].line,
                    "PROXY headers are believed of everybody; name your proxies in proxy_protocol_from",
                )
        elif header == "x-forwarded-for" and networks:
            listener.table("forwarding", *numbers).put("trusted_proxies", networks, *numbers)
        if "ipv6only=off" in address.words and address.listen.address.startswith("[::]"):
            listener.put("ipv6_only", False, *lines)
        if "deferred" in address.words:
            listener.table("tcp").put("defer_accept", True, *lines)
        for _, each, directive in address.waiting:
            if {"http2", "spdy"} & set(each.words):
                self.ledger.differs(directive.line, "lbapp speaks HTTP/1.1 only")

    def _tls(self, listener: Table, address: Address) -> bool:
        """Say the certificates of all names, that of the default first; return whether there is any."""
        ordered = sorted((server for server, _, _ in address.waiting), key=lambda server: server is not address.default)
        seen: set[tuple[str, str]] = set()
        for server in ordered:
            files, keys = server.scope.nearest("ssl_certificate"), server.scope.nearest("ssl_certificate_key")
            for file, key in zip(files, keys, strict=False):
                pair = (file.words[0], key.words[0]) if file.words and key.words else ("", "")
                if pair[0] and pair not in seen:
                    table = listener.table("tls").add("certificate", file.line.number)
                    table.put("file", pair[0], file.line.number)
                    table.put("key", pair[1], key.line.number)
                elif pair[0]:
                    listener.table("tls").note(file.line.number, key.line.number)
                seen.add(pair)
        self._tls_options(listener, address)
        return bool(seen)

    def _tls_options(self, listener: Table, address: Address) -> None:
        scopes = [server.scope for server, _, _ in address.waiting]
        protocols = [each for each in (scope.last("ssl_protocols") for scope in scopes) if each is not None]
        if protocols and all(each.words == ("TLSv1.3",) for each in protocols):
            listener.table("tls").put("min_version", "1.3", *(each.line.number for each in protocols))
        asked = {scope.word("ssl_verify_client") for scope in scopes}
        authorities = {scope.word("ssl_client_certificate") for scope in scopes}
        verify = [
            each.line.number
            for scope in scopes
            for each in scope.nearest("ssl_verify_client", "ssl_client_certificate")
        ]
        if asked in ({"on"}, {"optional"}) and len(authorities) == 1 and "" not in authorities:
            listener.table("tls").put("client_certificate", "required" if asked == {"on"} else "optional", *verify)
            listener.table("tls").put("client_ca", authorities.pop(), *verify)

    def _admit(self, listener: Table, address: Address) -> None:
        """Take what keeps clients out of all server blocks of an address; where some say otherwise, it is left."""
        scopes = [server.scope for server, _, _ in address.waiting]
        admission = Table()
        rules = [scope.nearest("allow", "deny") for scope in scopes]
        if rules[0] and all([id(each) for each in found] == [id(each) for each in rules[0]] for found in rules):
            put_networks(admission, rules[0])
        for word in ("limit_req", "limit_conn"):
            found = [scope.nearest(word) for scope in scopes]
            if len(found[0]) == 1 and all(each == found[0] for each in found):
                self._limit(admission, word, found[0][0])
        if admission.values:
            listener.values["admission"] = admission

    def _limit(self, admission: Table, word: str, each: Directive) -> None:
        options = dict(part.partition("=")[::2] for part in each.words)
        zone = self.zones.get(options.get("zone", each.words[0] if each.words else ""))
        if zone is None or not zone.words or zone.words[0] not in _BY_CLIENT:
            return
        numbers = (each.line.number, zone.line.number)
        if word == "limit_conn" and len(each.words) == 2 and each.words[1].isdigit():
            admission.put("client_connections_max", int(each.words[1]), *numbers)
            return
        rate = next((found for part in zone.words if (found := _RATE(part))), None)
        if word == "limit_req" and rate is not None:
            admission.put("client_request_rate", f"{rate[1]}/{rate[2]}", *numbers)
            admission.put("client_burst", int(options.get("burst", "0")) + 1, *numbers)
            self.ledger.differs(each.line, "who asks for more gets 429, and nobody is made to wait")

    def _routes(self, listener: Table, address: Address) -> None:
        made: list[tuple[int, int, Server, Match]] = []
        for at, (server, _, _) in enumerate(address.waiting):
            for word in dict.fromkeys(server.names):
                for rank, match in self._hosts(server, word):
                    made.append((rank, -len(word) if rank < 3 else at, server, match))
        pages = frozenset(
            word
            for server, _, _ in address.waiting
            for each in server.scope.nearest("error_page")
            for word in each.words
            if word.startswith("/")
        )
        locations = Locations(listener, self.ledger, self.pools, self.limits, address.is_tls, pages)
        others = [each for each in made if each[2] is not address.default]
        # Names of the default stand only where another name might take them first: none but such as takes several.
        several = [match for rank, _, _, match in others if rank]
        named = [
            each
            for each in made
            if each[2] is not address.default or any(_may_meet(each[3], match) for match in several)
        ]
        for _, _, server, match in sorted(named, key=lambda each: each[:2]):
            locations.routes(server.scope, server.directive, [match], is_last=False)
        locations.routes(address.default.scope, address.default.directive, [], is_last=True)

    def _hosts(self, server: Server, word: str) -> list[tuple[int, Match]]:
        """Return what takes requests for a name, each with how early nginx asks for it; none: nobody asks for such a name."""
        if word.startswith("~"):
            match = matches.header_like("host", word[1:], any_case=True)
            if match is None:
                self.ledger.left(next(server.directive.of("server_name")).line, f"lbapp cannot ask for {word}")
            return [] if match is None else [(3, match)]
        if word.endswith(".*"):
            match = matches.header_like("host", f"^{re.escape(word[:-1])}", any_case=True)
            return [] if match is None else [(2, match)]
        both = [word[1:], f"*{word}"] if word.startswith(".") else [word]
        found = [(1 if each.startswith("*") else 0, matches.host(each)) for each in both]
        return [(rank, match) for rank, match in found if match is not None]


def put_networks(admission: Table, rules: list[Directive]) -> None:
    """Take allow and deny, of which nginx takes the first that holds."""
    lists: dict[str, list[str]] = {"allow": [], "deny": []}
    is_closed = False
    for each in rules:
        if each.words == ("all",):
            is_closed = each.name == "deny"
            break
        try:
            network = str(ip_network(each.words[0], strict=False))
        except (ValueError, IndexError):
            return
        if each.name == "deny" and lists["allow"]:
            return  # some of those who are let in before it
        lists[each.name].append(network)
    numbers = [each.line.number for each in rules]
    if (lists["allow"] and not is_closed) or (is_closed and not lists["allow"]):
        return
    for key, networks in lists.items():
        if networks:
            admission.put(key, networks, *numbers)


def _may_meet(one: Match, other: Match) -> bool:
    """Say whether one request may have both hosts."""
    return "headers" in one or "headers" in other or matches.both(one, other) != []
