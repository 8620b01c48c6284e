"""Bind lines of haproxy.cfg as listeners: those of one proxy with the same TLS and the same options are one listener.

Responsible for addresses, certificates and options of clients' connections. Knows nothing of where requests go.

Invariant: an option that decides who gets in, or that lbapp does not know, leaves its whole line out; no listener is made
without the TLS that its line asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lbapp.config.draft import Table
from lbapp.migrate.amounts import below
from lbapp.migrate.outcome import Ledger, Line

_WITH_VALUE: Final = frozenset(
    (
        "crt", "alpn", "npn", "name", "ciphers", "ciphersuites", "curves", "ecdhe", "ssl-min-ver", "ssl-max-ver",
        "verify", "ca-file", "maxconn", "backlog", "process", "thread", "nice", "id", "mode", "user", "group",
        "level", "crl-file", "interface", "tcp-ut", "mss", "proto", "severity-output", "tls-ticket-keys", "crt-list",
        "uid", "gid", "namespace", "shards", "ca-verify-file", "crt-ignore-err", "ca-ignore-err", "quic-cc-algo",
    )
)  # fmt: skip
_TAKEN: Final = frozenset(
    (
        "ssl", "crt", "accept-proxy", "v4v6", "v6only", "tfo", "defer-accept", "mode", "user", "group", "verify",
        "ca-file", "ssl-min-ver", "force-tlsv12", "force-tlsv13",
    )
)  # fmt: skip
_NO_MATTER: Final = frozenset(
    (
        "name", "id", "process", "thread", "nice", "backlog", "npn", "shards", "proto", "no-tls-tickets", "no-sslv3",
        "no-tlsv10", "no-tlsv11", "prefer-client-ciphers", "generate-certificates", "strict-sni",
    )
)  # fmt: skip
_LESS: Final = frozenset(("ciphers", "ciphersuites", "curves", "ecdhe", "maxconn", "alpn", "allow-0rtt"))
_EVERYWHERE: Final = ["0.0.0.0/0", "::/0", "unix:"]


@dataclass(frozen=True, slots=True)
class Bind:
    """One address to accept on."""

    address: str
    port: str
    line: Line
    certificates: tuple[str, ...]
    options: tuple[tuple[str, str], ...]

    @property
    def is_tls(self) -> bool:
        """Whether clients speak TLS."""
        return bool(self.certificates)


@dataclass
class Group:
    """The addresses of one listener."""

    binds: list[Bind] = field(default_factory=list)

    @property
    def is_tls(self) -> bool:
        """Whether clients speak TLS."""
        return self.binds[0].is_tls

    @property
    def ports(self) -> frozenset[str]:
        """The ports that clients connect to; none where one of the addresses has none."""
        ports = frozenset(bind.port for bind in self.binds)
        return frozenset() if "" in ports else ports


def groups(ledger: Ledger, lines: list[Line], crt_base: str) -> list[Group]:
    """Return the listeners that the bind lines of a proxy come to."""
    found: dict[Any, Group] = {}
    for line in lines:
        if line.key == "bind":
            for bind in _binds(ledger, line, crt_base):
                found.setdefault((bind.certificates, bind.options), Group()).binds.append(bind)
    return list(found.values())


def put(listener: Table, group: Group) -> None:
    """Say of a listener where it listens, and how."""
    lines = list(dict.fromkeys(bind.line.number for bind in group.binds))
    listener.put("bind", [bind.address for bind in group.binds], *lines)
    first = group.binds[0]
    options = dict(first.options)
    for file in first.certificates:
        listener.table("tls", *lines).add("certificate", *lines).put("file", file, *lines)
    if "force-tlsv13" in options or options.get("ssl-min-ver") == "TLSv1.3":
        listener.table("tls").put("min_version", "1.3", *lines)
    if "verify" in options:
        listener.table("tls").put("client_certificate", options["verify"], *lines)
        listener.table("tls").put("client_ca", options["ca-file"], *lines)
    if "accept-proxy" in options:
        listener.put("proxy_protocol", True, *lines)
        listener.put("proxy_protocol_from", _EVERYWHERE, *lines)
    if "v4v6" in options:
        listener.put("ipv6_only", False, *lines)
    for word, key in (("mode", "unix_mode"), ("user", "unix_user"), ("group", "unix_group")):
        if word in options:
            listener.put(key, options[word], *lines)
    for word, key in (("tfo", "fastopen"), ("defer-accept", "defer_accept")):
        if word in options:
            listener.table("tcp").put(key, True, *lines)


def _binds(ledger: Ledger, line: Line, crt_base: str) -> Iterator[Bind]:
    """Yield the addresses of a bind line; a line with what would change who gets in is left."""
    options = _options(line.words[2:])
    certificates = tuple(below(crt_base, value) for word, value in options if word == "crt")
    kept = {word: value for word, value in options if word not in _NO_MATTER and word not in ("crt", *_LESS)}
    why = _why_not(kept, certificates)
    if why or len(line.words) < 2:
        ledger.left(line, f"it cannot be said in lbapp's words: {why or 'it has no address'}")
        return
    _say_differences(ledger, line, options)
    is_v6only = "v6only" in kept
    for word in ("ssl", "v6only", "v4v6", "force-tlsv12"):
        kept.pop(word, None)
    if kept.get("ssl-min-ver") != "TLSv1.3":
        kept.pop("ssl-min-ver", None)
    if kept.get("verify") == "none":
        kept.pop("verify")
        kept.pop("ca-file", None)
    for each in line.words[1].split(","):
        found = _address(each)
        if found is None:
            why = (
                "has a variable of HAProxy's environment; write the value in its place"
                if "$" in each
                else "is no single port"
            )
            ledger.left(line, f"{each} {why}")
        else:
            # As Linux has it: the address for all IPv6 clients takes those with IPv4, too.
            both = {"v4v6": ""} if found[0].startswith("[::]") and not is_v6only else {}
            yield Bind(*found, line, certificates, tuple(sorted({**kept, **both}.items())))


def _why_not(kept: dict[str, str], certificates: tuple[str, ...]) -> str:
    unknown = [word for word in kept if word not in _TAKEN]
    if unknown:
        return " ".join(unknown)
    if ("ssl" in kept) != bool(certificates):
        return "ssl and crt belong together"
    if any(file.endswith("/") for file in certificates):
        return "a folder of certificates; name each file with crt"
    if kept.get("verify", "none") != "none" and "ca-file" not in kept:
        return "verify without ca-file"
    return ""


def _say_differences(ledger: Ledger, line: Line, options: list[tuple[str, str]]) -> None:
    words = dict(options)
    if "h2" in words.get("alpn", "").split(",") or "h2" in words.get("npn", "").split(","):
        ledger.differs(line, "lbapp speaks HTTP/1.1 only")
    if {"ciphers", "ciphersuites", "curves", "ecdhe"} & set(words):
        ledger.differs(line, "lbapp's own choice of ciphers holds; another one goes into [listener.tls] ciphers")
    if "allow-0rtt" in words:
        ledger.differs(line, "lbapp takes no data before the handshake is done")
    if "maxconn" in words:
        ledger.differs(
            line, "a maxconn of one address is not taken: [listener.admission] connections_max is of a listener"
        )
    if "accept-proxy" in words:
        ledger.differs(
            line, "PROXY headers are believed of everybody, as here; better name your proxies in proxy_protocol_from"
        )
    if "strict-sni" in words:
        ledger.differs(line, "clients that ask for another name get the first certificate")
    if words.get("ssl-min-ver", "TLSv1.2") in ("SSLv3", "TLSv1.0", "TLSv1.1"):
        ledger.differs(line, "lbapp speaks TLS 1.2 and 1.3 only")


def _options(words: tuple[str, ...]) -> list[tuple[str, str]]:
    found, rest = [], list(words)
    while rest:
        word = rest.pop(0)
        found.append((word, rest.pop(0) if word in _WITH_VALUE and rest else ""))
    return found


def _address(text: str) -> tuple[str, str] | None:
    """Return the address in lbapp's words, and its port, empty for a Unix socket."""
    if text.startswith(("/", "unix@/")):
        return f"unix:{text.removeprefix('unix@')}", ""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or "@" in host.removeprefix("ipv4@").removeprefix("ipv6@"):
        return None
    is_ipv6 = host.startswith("ipv6@")
    bare = host.removeprefix("ipv4@").removeprefix("ipv6@").strip("[]")
    if ":" in bare or is_ipv6:
        return f"[{bare if bare not in ('', '*') else '::'}]:{port}", port
    return f"{'0.0.0.0' if bare in ('', '*') else bare}:{port}", port
