"""From a request to the route that takes it.

Responsible for matching a listener's routes, in their order: the first that matches and is open decides. Knows nothing of
pools beyond their names, and asks whether a route is open. Invariants: a request that matches no open route goes to the
listener's pool, or nowhere if it has none; a request for a named host never costs a look at the routes of other named
hosts; an expression is never held against more than REGEX_BYTES_MAX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lbapp.model.entities import Listener, Route
from lbapp.model.limits import REGEX_BYTES_MAX


class TooLong(Exception):
    """What an expression would have to be held against is longer than is safe. `status` is what to answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _HeaderExpression:
    """Matches when one line of the field has a value that the expression takes whole."""

    lines: re.Pattern[bytes]
    value: re.Pattern[bytes]
    name: str

    def takes(self, fields: bytes) -> bool:
        values = self.lines.findall(fields)
        if any(len(value) > REGEX_BYTES_MAX for value in values):
            raise TooLong(
                431, f"the field {self.name} is longer than {REGEX_BYTES_MAX} bytes, and a route has to match it"
            )
        return any(self.value.fullmatch(value.rstrip(b"\t ")) for value in values)


@dataclass(frozen=True, slots=True)
class _CompiledRoute:
    """A route in bytes. Of `host` and `host_suffix` (`.example.com` for `*.example.com`) at most one is set."""

    route: Route
    host: bytes | None
    host_suffix: bytes | None
    path: bytes
    method: bytes | None
    headers: tuple[re.Pattern[bytes], ...]
    absent: tuple[re.Pattern[bytes], ...]
    path_expression: re.Pattern[bytes] | None
    header_expressions: tuple[_HeaderExpression, ...]
    has_header_matches: bool

    def takes_host(self, host: bytes) -> bool:
        if self.host is not None:
            return host == self.host
        suffix = self.host_suffix
        return suffix is None or (host.endswith(suffix) and len(host) > len(suffix))

    def takes_rest(self, path: bytes, method: bytes, fields: bytes) -> bool:
        if not path.startswith(self.path) or (self.method is not None and method != self.method):
            return False
        if self.path_expression is not None and not self._takes_path(self.path_expression, path):
            return False
        return not self.has_header_matches or self._takes_headers(fields)

    def _takes_headers(self, fields: bytes) -> bool:
        if not all(pattern.search(fields) for pattern in self.headers):
            return False
        if any(pattern.search(fields) for pattern in self.absent):
            return False
        return all(expression.takes(fields) for expression in self.header_expressions)

    @staticmethod
    def _takes_path(expression: re.Pattern[bytes], path: bytes) -> bool:
        if len(path) > REGEX_BYTES_MAX:
            raise TooLong(414, f"the path is longer than {REGEX_BYTES_MAX} bytes, and a route has to match it")
        return expression.fullmatch(path) is not None


class Router:
    """The routes of one listener, ready to be matched."""

    def __init__(self, routes: Iterable[Route], fallback: str | None) -> None:
        compiled = [_compile(route) for route in routes]
        named = {route.host for route in compiled if route.host is not None}
        self._by_host = {host: [route for route in compiled if route.takes_host(host)] for host in named}
        self._unnamed = [route for route in compiled if route.host is None]
        self.fallback = None if fallback is None else Route(fallback)
        self.has_routes = bool(compiled)

    def choose_route(
        self, host: bytes, target: bytes, method: bytes, fields: bytes, is_open: Callable[[Route], bool]
    ) -> Route | None:
        """Return the route for a request, None when nothing takes it. Raises TooLong.

        `host` as sent, with or without port; `target` in origin-form; `fields` the block of CRLF-ended field lines. A route
        that is not open is passed over; when all that match are closed, the first of them that has pools is returned.
        """
        closed: Route | None = None
        if self.has_routes:
            host = _name_of(host)
            path = target.partition(b"?")[0]
            for each in self._by_host.get(host, self._unnamed):
                if (each.host_suffix is None or each.takes_host(host)) and each.takes_rest(path, method, fields):
                    if is_open(each.route):
                        return each.route
                    if closed is None and each.route.pools:
                        closed = each.route
        fallback = self.fallback
        if fallback is None or (closed is not None and not is_open(fallback)):
            return closed
        return fallback


def compile_routes(listener: Listener) -> Router:
    """Prepare the routes of a listener. Raises UnicodeError for a host that cannot be written in a request."""
    return Router(listener.routes, listener.pool)


def _compile(route: Route) -> _CompiledRoute:
    host = None if route.host is None else _host_bytes(route.host)
    is_wildcard = host is not None and host.startswith(b"*.")
    present = tuple(_compile_name(name) for name, is_wanted in route.headers_present if is_wanted)
    return _CompiledRoute(
        route=route,
        host=None if is_wildcard else host,
        host_suffix=host[1:] if host is not None and is_wildcard else None,
        path=(route.path or "").encode(),
        method=None if route.method is None else route.method.encode(),
        headers=(*(_compile_header(name, value) for name, value in route.headers), *present),
        absent=tuple(_compile_name(name) for name, is_wanted in route.headers_present if not is_wanted),
        path_expression=None if route.path_regex is None else re.compile(route.path_regex.encode()),
        header_expressions=tuple(
            _HeaderExpression(_compile_lines(name), re.compile(value.encode()), name)
            for name, value in route.header_regexes
        ),
        has_header_matches=bool(route.headers or route.headers_present or route.header_regexes),
    )


def _host_bytes(host: str) -> bytes:
    """Return a host as clients send it: lower case, names in other scripts in their ASCII form, IPv6 in brackets."""
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return host.lower().removesuffix(".").encode("ascii" if host.isascii() else "idna")


def _compile_header(name: str, value: str) -> re.Pattern[bytes]:
    line = rb"(?:\A|\n)(?i:%b):[\t ]*+%b[\t ]*+\r" % (re.escape(name.encode()), re.escape(value.encode()))
    return re.compile(line)


def _compile_name(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\A|\n)(?i:%b):" % re.escape(name.encode()))


def _compile_lines(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\A|\n)(?i:%b):[\t ]*+([^\r]*+)\r" % re.escape(name.encode()))


def _name_of(host: bytes) -> bytes:
    """Return a request's host without port and final dot, in lower case."""
    if not host.endswith(b"]"):
        name, colon, _ = host.rpartition(b":")
        host = (name if colon else host).removesuffix(b".")
    return host.lower()
