"""From a request to its pool.

Responsible for matching a listener's routes, in their order: the first that matches decides. Knows nothing of pools beyond
their names. Invariants: a request that matches no route goes to the listener's pool, or nowhere if it has none; a request
for a named host never costs a look at the routes of other named hosts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lbapp.model.entities import Listener, Route


@dataclass(frozen=True, slots=True)
class _CompiledRoute:
    """A route in bytes. Of `host` and `host_suffix` (`.example.com` for `*.example.com`) at most one is set."""

    pool: str
    host: bytes | None
    host_suffix: bytes | None
    path: bytes
    method: bytes | None
    headers: tuple[re.Pattern[bytes], ...]

    def takes_host(self, host: bytes) -> bool:
        if self.host is not None:
            return host == self.host
        suffix = self.host_suffix
        return suffix is None or (host.endswith(suffix) and len(host) > len(suffix))

    def takes_rest(self, path: bytes, method: bytes, fields: bytes) -> bool:
        if not path.startswith(self.path) or (self.method is not None and method != self.method):
            return False
        return all(pattern.search(fields) for pattern in self.headers)


class Router:
    """The routes of one listener, ready to be matched."""

    def __init__(self, routes: Iterable[Route], fallback: str | None) -> None:
        compiled = [_compile(route) for route in routes]
        named = {route.host for route in compiled if route.host is not None}
        self._by_host = {host: [route for route in compiled if route.takes_host(host)] for host in named}
        self._unnamed = [route for route in compiled if route.host is None]
        self._fallback = fallback
        self.has_routes = bool(compiled)

    def choose_pool(self, host: bytes, target: bytes, method: bytes, fields: bytes) -> str | None:
        """Return the name of the pool for a request, None when nothing takes it.

        `host` as sent, with or without port; `target` in origin-form; `fields` the block of CRLF-ended field lines.
        """
        if self.has_routes:
            host = _name_of(host)
            path = target.partition(b"?")[0]
            for route in self._by_host.get(host, self._unnamed):
                if (route.host_suffix is None or route.takes_host(host)) and route.takes_rest(path, method, fields):
                    return route.pool
        return self._fallback


def compile_routes(listener: Listener) -> Router:
    """Prepare the routes of a listener. Raises UnicodeError for a host that cannot be written in a request."""
    return Router(listener.routes, listener.pool)


def _compile(route: Route) -> _CompiledRoute:
    host = None if route.host is None else _host_bytes(route.host)
    is_wildcard = host is not None and host.startswith(b"*.")
    return _CompiledRoute(
        pool=route.pool,
        host=None if is_wildcard else host,
        host_suffix=host[1:] if host is not None and is_wildcard else None,
        path=(route.path or "").encode(),
        method=None if route.method is None else route.method.encode(),
        headers=tuple(_compile_header(name, value) for name, value in route.headers),
    )


def _host_bytes(host: str) -> bytes:
    """Return a host as clients send it: lower case, names in other scripts in their ASCII form, IPv6 in brackets."""
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return host.lower().removesuffix(".").encode("ascii" if host.isascii() else "idna")


def _compile_header(name: str, value: str) -> re.Pattern[bytes]:
    line = rb"(?:\A|\n)(?i:%b):[\t ]*+%b[\t ]*+\r" % (re.escape(name.encode()), re.escape(value.encode()))
    return re.compile(line)


def _name_of(host: bytes) -> bytes:
    """Return a request's host without port and final dot, in lower case."""
    if not host.endswith(b"]"):
        name, colon, _ = host.rpartition(b":")
        host = (name if colon else host).removesuffix(b".")
    return host.lower()
