"""Whether others answer: the store of a fleet, and servers.

Responsible for asking them over the network, within a bounded time. Knows nothing of what an answer should be. Invariant: nothing
is changed anywhere; servers are connected to and let go again without a byte.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import dns.exception
import dns.nameserver
import dns.resolver
import httpcore

from lbapp.model.entities import Server
from lbapp.model.limits import RESOLVE_TIMEOUT_S, STORE_CONNECT_TIMEOUT_S, STORE_REQUEST_TIMEOUT_S

NameServers = tuple[tuple[str, int], ...]
_AT_ONCE: Final = 32
_UNREACHED: Final = (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


class Answer(NamedTuple):
    """After how long somebody answered, and why that is no good answer; empty: it is one."""

    after_s: float
    why_not: str = ""


def ask_store(endpoint: str, ca_file: str | None) -> Answer:
    """Ask an etcd whether it can do what it is asked for: with its health it says whether there are enough of it."""
    begin = time.monotonic()
    timeouts = {"connect": STORE_CONNECT_TIMEOUT_S, "read": STORE_REQUEST_TIMEOUT_S, "write": STORE_REQUEST_TIMEOUT_S}
    try:
        context = ssl.create_default_context(cafile=ca_file) if endpoint.startswith("https:") else None
        with httpcore.ConnectionPool(ssl_context=context) as pool:
            answer = pool.request("GET", f"{endpoint}/health", extensions={"timeout": timeouts})
        why_not = _unhealthy(answer.status, answer.content)
    except _UNREACHED as error:
        why_not = _said(error)
    return Answer(time.monotonic() - begin, why_not)


def ask_servers(
    servers: Iterable[Server], nameservers: NameServers, timeout_s: float
) -> Iterator[tuple[Server, Answer]]:
    """Yield whether each server can be connected to, in their order."""
    listed = list(servers)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        yield from zip(
            listed, threads.map(lambda server: _connect(server, nameservers, timeout_s), listed), strict=True
        )


def unresolved(host: str, nameservers: NameServers = ()) -> str:
    """Return why a name has no address; empty: it has one. `nameservers`: who is asked in place of the system."""
    try:
        if nameservers:
            _addresses(host, nameservers)
        else:
            socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, dns.exception.DNSException, UnicodeError) as error:
        return _said(error)
    return ""


def _connect(server: Server, nameservers: NameServers, timeout_s: float) -> Answer:
    begin = time.monotonic()
    try:
        if server.is_unix:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout_s)
                connection.connect(server.host)
        else:
            host = (
                _addresses(server.host, nameservers)[0] if nameservers and not _is_literal(server.host) else server.host
            )
            socket.create_connection((host, server.port), timeout_s).close()
    except (OSError, UnicodeError, dns.exception.DNSException) as error:
        return Answer(time.monotonic() - begin, _said(error))
    return Answer(time.monotonic() - begin)


def _addresses(host: str, nameservers: NameServers) -> list[str]:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in nameservers]
    return list(resolver.resolve_name(host, lifetime=RESOLVE_TIMEOUT_S).addresses())


def _is_literal(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _unhealthy(status: int, body: bytes) -> str:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if status == 200 and isinstance(said, dict) and said.get("health") in ("true", True):
        return ""
    reason = said.get("reason") if isinstance(said, dict) else None
    return (
        f"it says that it is not well{f' ({reason})' if isinstance(reason, str) and reason else ''}"
        if said
        else f"status {status}"
    )


def _said(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).lower()
