"""Upstreams of nginx.conf, and what is passed to without one, as pools.

Responsible for servers, the way of choosing one, persistence, and how servers are spoken to. Knows nothing of locations.

Invariants: a pool is made once for each way in which its upstream is passed to (with TLS, with a PROXY header); no server is
spoken to without the TLS that its proxy_pass asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from lbapp.config.draft import Table
from lbapp.migrate.amounts import duration, name, nginx_seconds
from lbapp.migrate.nginx_values import Scope, address_of
from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Ledger
from lbapp.model.states import WEIGHT_MAX

_STATUSES: Final = {"http_502": 502, "http_503": 503, "http_504": 504}
_KEPT: Final = (
    "keepalive",
    "keepalive_timeout",
    "keepalive_requests",
    "keepalive_time",
    "zone",
    "resolver",
    "resolver_timeout",
    "random_seed",
)
_HASHED: Final = {
    "remote_addr": "ip",
    "binary_remote_addr": "ip",
    "request_uri": "path",
    "uri": "path",
    "document_uri": "path",
}
_TLS: Final = (
    "proxy_ssl_verify",
    "proxy_ssl_trusted_certificate",
    "proxy_ssl_name",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
)
_PORT: Final = 80  # of a server of an upstream that names none, with TLS, too
_ATTEMPTS_MAX: Final = 10


@dataclass
class Pools:
    """The pools that are made, each when something is passed to it first."""

    draft: Table
    ledger: Ledger
    upstreams: dict[str, Directive]
    made: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def named(self, place: str, scope: Scope, passed: Directive, *, is_tls: bool, is_http: bool) -> str:
        """Return the name of the pool that a proxy_pass leads to; it is made where it is not there."""
        tls = self._tls(scope) if is_tls else ()
        source = scope.word("proxy_bind")
        version = "v1" if scope.word("proxy_protocol") == "on" and not is_http else ""
        key = (place, is_tls, tls, source, version, is_http)
        if key not in self.made:
            self.made[key] = self._free_name(place)
            self._make(self.made[key], place, scope, passed, key)
        return self.made[key]

    def _free_name(self, place: str) -> str:
        first = wanted = name(place.removeprefix("unix:"))
        at = 2
        while wanted in self.made.values():
            wanted, at = f"{first[:60]}-{at}", at + 1
        return wanted

    def _make(self, pool: str, place: str, scope: Scope, passed: Directive, key: tuple[Any, ...]) -> None:
        _, is_tls, tls, source, version, is_http = key
        upstream = self.upstreams.get(place)
        number = (upstream or passed).line.number
        made = self.draft.add("pool", number)
        made.put("name", pool, number)
        if upstream is None:
            server = made.add("server", passed.line.number)
            server.put("name", name(place.removeprefix("unix:")), passed.line.number)
            server.put("address", address_of(place, port=443 if is_tls else 80), passed.line.number)
        else:
            _Upstream(made, self.ledger, upstream, is_http).fill()
        for word, value in (("source", source), ("proxy_protocol", version)):
            if value:
                found = scope.nearest("proxy_bind" if word == "source" else "proxy_protocol")
                made.put(word, value, *(each.line.number for each in found))
        if is_tls:
            self._say_tls(made, scope, passed, dict(tls))
        self._retry(made, scope)

    def _tls(self, scope: Scope) -> tuple[tuple[str, str], ...]:
        return tuple((word, scope.word(word)) for word in _TLS if scope.word(word))

    def _say_tls(self, made: Table, scope: Scope, passed: Directive, said: dict[str, str]) -> None:
        numbers = [each.line.number for word in _TLS for each in scope.nearest(word)]
        table = made.table("tls", passed.line.number, *numbers)
        if said.get("proxy_ssl_verify") != "on":
            table.put("verify", False, passed.line.number)
            self.ledger.differs(
                passed.line, "nginx believes whoever answers unless proxy_ssl_verify is on, and so does this pool"
            )
        elif "proxy_ssl_trusted_certificate" in said:
            table.put("ca_file", said["proxy_ssl_trusted_certificate"])
        if "proxy_ssl_name" in said and "$" not in said["proxy_ssl_name"]:
            table.put("server_name", said["proxy_ssl_name"])
        if "proxy_ssl_certificate" in said:
            table.table("certificate").put("file", said["proxy_ssl_certificate"])
            if "proxy_ssl_certificate_key" in said:
                table.table("certificate").put("key", said["proxy_ssl_certificate_key"])

    def _retry(self, made: Table, scope: Scope) -> None:
        found = scope.last("proxy_next_upstream")
        if found is not None and "off" in found.words:
            made.table("retry").put("attempts", 1, found.line.number)
        elif found is not None:
            statuses = [_STATUSES[word] for word in found.words if word in _STATUSES]
            made.table("retry", found.line.number)
            if statuses:
                made.table("retry").put("on_status", statuses, found.line.number)
            self.ledger.differs(
                found.line, "of failures, lbapp tries again by itself what may be; of statuses, 502, 503 and 504"
            )
        wait = scope.last("proxy_next_upstream_timeout")
        limit = nginx_seconds(wait.words[0]) if wait is not None and wait.words else None
        if wait is not None and limit:
            made.table("retry").put("timeout", duration(limit), wait.line.number)
        elif wait is not None:
            self.ledger.differs(wait.line, "no attempt begins later than [pool.retry] timeout says")
        tries = scope.last("proxy_next_upstream_tries")
        count = tries.words[0] if tries is not None and tries.words else "0"
        if tries is not None and count.isdigit() and count != "0" and not (found is not None and "off" in found.words):
            made.table("retry").put("attempts", min(int(count), _ATTEMPTS_MAX), tries.line.number)


@dataclass
class _Upstream:
    """A pool while its upstream is read."""

    made: Table
    ledger: Ledger
    upstream: Directive
    is_http: bool

    def fill(self) -> None:
        servers = [each for each in self.upstream.of("server") if each.words]
        options = {id(each): _options(each.words[1:]) for each in servers}
        is_weighted = any("weight" in found for found in options.values())
        self._choose(is_weighted=is_weighted)
        self._sticky()
        for each in servers:
            self._server(each, options[id(each)], is_weighted=is_weighted)
        self._rest(options)
        if len(servers) == 1 and not _is_place(servers[0].words[0]):
            why = "nginx sends to all addresses of a name, lbapp to one of them, unless [pool.discover] has the name"
            self.ledger.differs(servers[0].line, why)
        for each in self.upstream.block or ():
            if each.name in _KEPT:
                self.ledger.not_needed(each.line, "lbapp keeps connections to servers open, by [limits]")

    def _choose(self, *, is_weighted: bool) -> None:
        algorithm, sources, key = "weighted_round_robin" if is_weighted else "round_robin", [], ("", "")
        for each in self.upstream.block or ():
            found = self._way(each)
            if found is not None:
                algorithm, key, sources = found[0], found[1:], [each.line.number]
        self.made.put("algorithm", algorithm, *sources)
        if key[0] and algorithm == "hash":
            self.made.table("hash").put("key", key[0], *sources)
            if key[1]:
                self.made.table("hash").put("name", key[1], *sources)

    def _way(self, each: Directive) -> tuple[str, str, str] | None:
        """Return the algorithm that a directive asks for, and what is hashed, with its name; None: it asks for none."""
        if each.name == "least_conn":
            return "least_connections", "", ""
        if each.name == "ip_hash":
            self.ledger.differs(
                each.line, "nginx takes clients of one IPv4 /24 for one; lbapp hashes the whole address"
            )
            return "ip_hash", "", ""
        if each.name == "least_time":
            return "least_response_time", "", ""
        if each.name == "random":
            if each.words[:1] != ("two",):
                self.ledger.differs(each.line, "of two that are drawn the one with less in flight is taken")
            return "two_choices", "", ""
        if each.name != "hash" or not each.words:
            return None
        match = re.fullmatch(r"\$\{?(?:(arg|cookie|http)_)?([a-z0-9_]+)\}?", each.words[0])
        kinds = {"arg": "query", "cookie": "cookie", "http": "header"}
        if (
            match is None
            or (not match[1] and match[2] not in _HASHED)
            or (not self.is_http and match[2] not in ("remote_addr", "binary_remote_addr"))
        ):
            self.ledger.left(each.line, "lbapp cannot hash this; servers are chosen in turn")
            return None
        self.ledger.differs(each.line, "clients meet the same server each time, but other ones than by nginx's hash")
        key = kinds[match[1]] if match[1] else _HASHED[match[2]]
        name_ = match[2].replace("_", "-") if match[1] == "http" else match[2] if match[1] else ""
        return ("ip_hash", "", "") if key == "ip" else ("hash", key, name_)

    def _sticky(self) -> None:
        for each in self.upstream.of("sticky"):
            if each.words[:1] != ("cookie",) or len(each.words) < 2:
                self.ledger.left(each.line, "lbapp remembers clients by a cookie of its own, an address or a header")
                continue
            number, options = each.line.number, _options(each.words[2:])
            table = self.made.table("persistence", number)
            table.put("type", "cookie", number)
            table.put("cookie", each.words[1], number)
            table.put("http_only", "httponly" in options, number)
            lasts = nginx_seconds(options.get("expires", ""))
            if lasts:
                table.put("ttl", duration(lasts), number)
                table.put("life", duration(max(lasts, 8 * 3600.0)), number)
            self.ledger.differs(
                each.line, "the value is signed and lasts as ttl and life say; cookies of before are balanced anew"
            )

    def _server(self, each: Directive, found: dict[str, str], *, is_weighted: bool) -> None:
        line = each.line
        if "down" in found:
            self.ledger.not_needed(line, "it is down and gets nothing; lbapp add, when it is wanted")
            return
        server = self.made.add("server", line.number)
        place = each.words[0]
        server.put("name", name(place.removeprefix("unix:")), line.number)
        server.put("address", address_of(place, port=_PORT), line.number)
        if is_weighted:
            weight = found.get("weight", "1")
            server.put("weight", min(int(weight), WEIGHT_MAX) if weight.isdigit() else weight, line.number)
        if found.get("max_conns", "0").isdigit() and found.get("max_conns", "0") != "0":
            server.put("connections_max", int(found["max_conns"]), line.number)
        if "backup" in found:
            server.put("backup", True, line.number)
        if "max_fails" in found or "fail_timeout" in found:
            self.ledger.differs(
                line, "not by max_fails and fail_timeout: probes and failed requests say whether it is up"
            )
        unsaid = [
            word for word in found
            if word not in ("weight", "max_conns", "backup", "max_fails", "fail_timeout", "slow_start", "resolve")
        ]  # fmt: skip
        if unsaid:
            self.ledger.differs(line, f"not taken of it: {', '.join(unsaid)}")

    def _rest(self, options: dict[int, dict[str, str]]) -> None:
        """Say the check, the slow start and the queue, which are of the whole pool here."""
        found = list(options.values())
        numbers = [each.line.number for each in self.upstream.of("server") if "max_fails=0" in each.words]
        if numbers and len(numbers) == len(found):
            self.made.table("health_check").put("type", "none", *numbers)
        slow = [
            (each.line.number, amount)
            for each in self.upstream.of("server")
            if (amount := nginx_seconds(options.get(id(each), {}).get("slow_start", "")))
        ]
        if slow:
            self.made.table("slow_start", slow[0][0]).put("window", duration(slow[0][1]), slow[0][0])
        for each in self.upstream.of("queue"):
            if each.words and each.words[0].isdigit():
                self.made.table("queue").put("length_max", int(each.words[0]), each.line.number)
                wait = nginx_seconds(_options(each.words[1:]).get("timeout", "60s"))
                self.made.table("queue").put("timeout", duration(wait or 60.0), each.line.number)


def _is_place(text: str) -> bool:
    """Say whether a server is told by its address, or is this machine."""
    return text.startswith(("unix:", "[", "localhost")) or re.fullmatch(r"[0-9.]+(?::[0-9]+)?", text) is not None


def _options(words: tuple[str, ...]) -> dict[str, str]:
    return {key: value for key, _, value in (word.partition("=") for word in words)}
