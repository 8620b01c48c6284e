"""`[metrics] bind`: the exposition at a TCP address, for who scrapes it over the network.

Responsible for the socket, from one configuration to the next, for bounding what scrapers may take, and for answering /metrics
and nothing else. Knows nothing of what the metrics are: `collect` reads them. What writes them is imported with the first scrape.

Each engine opens the address itself, shareable (SO_REUSEPORT), so that its successor can have it before it leaves. No service
manager keeps it: while no engine runs a scrape is refused at once, which is what a monitor has to see.

Invariants: nobody who only connects, sends slowly or does not read keeps a connection for longer than METRICS_CONNECTION_S; the
figures are read at most once in EXPOSITION_AGE_MAX_S, however many ask; until `take` nothing has changed for who scrapes.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import anyio.to_thread
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from lbapp.engine.supervisor.events import Signal
from lbapp.engine.supervisor.http_server import HttpServer
from lbapp.engine.supervisor.sockets import refusal
from lbapp.model.entities import Bind
from lbapp.model.limits import EXPOSITION_AGE_MAX_S, LISTEN_BACKLOG, METRICS_CONNECTION_S, METRICS_CONNECTIONS_MAX

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_RESET: Final = struct.pack("ii", 1, 0)
_CLOSE: Final = {"Connection": "close"}
_log: Final = logging.getLogger("lbapp")
_quiet_log: Final = logging.getLogger("lbapp.metrics")
_quiet_log.setLevel(logging.ERROR)  # what a scraper gets wrong is no line of the engine's log, or it could fill it


class MetricsPort:
    """The address as it is served now; `prepare` and `take` are one change of it."""

    def __init__(self) -> None:
        self.bind: Bind | None = None
        self._socket: socket.socket | None = None
        self._server: HttpServer | None = None
        self._changed = Signal()

    def prepare(self, bind: Bind | None, *, is_successor: bool = False) -> socket.socket | None:
        """Open an address that is not open yet; None: there is nothing to open. Raises StartError.

        `is_successor`: the engine before may still have it, and gets all who come until `run`.
        """
        if bind is None or bind == self.bind:
            return None
        is_ours = is_successor or (self.bind is not None and self.bind.port == bind.port)
        try:
            family, _, _, _, address = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM)[0]
            if not is_ours:  # the kernel would share a port with another engine of the same user
                with _socket_of(family) as probe:
                    probe.bind(address)
            opened = _socket_of(family)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                opened.bind(address)
                if not is_successor:
                    opened.listen(LISTEN_BACKLOG)
            except OSError:
                opened.close()
                raise
        except OSError as error:
            raise refusal(f"cannot serve metrics at {bind} (metrics.bind)", bind, error) from error
        return opened

    def take(self, bind: Bind | None, opened: socket.socket | None) -> None:
        """Serve at an address from now on, with what was prepared for it; None: at none."""
        if bind == self.bind:
            return
        former, self.bind, self._socket = self._socket, bind, opened
        if former is not None:
            former.close()  # the server has its own copy, until it has ended
        self._changed.fire()

    async def run(self, collect: Callable[[], list[Metric]]) -> None:
        """Serve what is open, until cancelled."""
        app = Application(collect)
        async with anyio.create_task_group() as tasks:
            while True:
                if self._server is not None:
                    self._server.stop_accepting()
                    self._server.should_exit = True
                    self._server = None
                if self._socket is not None:
                    self._server = HttpServer(app, ScraperProtocol)
                    tasks.start_soon(_serve, self._server, self._socket.dup())
                await self._changed.wait()

    def close(self) -> None:
        """Listen no more, also where another engine does at the same address; who is there gets an answer."""
        self.take(None, None)


class Application:
    """Answers /metrics."""

    def __init__(self, collect: Callable[[], list[Metric]]) -> None:
        self._collect = collect
        self._reading = anyio.Lock()
        self._text = b""
        self._read_at_s = -EXPOSITION_AGE_MAX_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["path"] != "/metrics":
            return PlainTextResponse("only /metrics is here\n", 404, _CLOSE)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("only GET and HEAD are answered\n", 405, {**_CLOSE, "Allow": "GET, HEAD"})
        from lbapp.engine.supervisor.metrics import CONTENT_TYPE

        return Response(await self._exposition(), headers=_CLOSE, media_type=CONTENT_TYPE)

    async def _exposition(self) -> bytes:
        from lbapp.engine.supervisor.metrics import render

        async with self._reading:
            if time.monotonic() - self._read_at_s >= EXPOSITION_AGE_MAX_S:
                families = self._collect()
                self._text = await anyio.to_thread.run_sync(render, families)
                self._read_at_s = time.monotonic()
            return self._text


class ScraperProtocol(H11Protocol):
    """HTTP/1.1 with an end: one connection is for one answer, and lives for METRICS_CONNECTION_S at most."""

    _overdue: TimerHandle | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _quiet_log

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin, or refuse one connection too many."""
        super().connection_made(cast(Transport, transport))
        if len(self.connections) > METRICS_CONNECTIONS_MAX:
            self._break_off()
            return
        self._overdue = self.loop.call_later(METRICS_CONNECTION_S, self._break_off)

    def _break_off(self) -> None:
        # Reset it: else the kernel goes on holding what is not taken.
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        if self._overdue is not None:
            self._overdue.cancel()


async def _serve(server: HttpServer, opened: socket.socket) -> None:
    try:
        await server.serve_at(opened)
    except OSError as error:  # somebody else came to listen there just before: no reason to end an engine
        _log.error("the metrics are not served at %s: %s", opened.getsockname(), error.strerror)
        opened.close()


def metrics_warnings(bind: Bind | None) -> list[str]:
    """Return a sentence where others than this machine may read the metrics."""
    if bind is None or _is_loopback(bind.host):
        return []
    return [f"metrics.bind: whoever reaches {bind} reads the names of all pools and servers, and all figures, unasked"]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _socket_of(family: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return opened
