"""The servers of a worker's pools: made at the start, and made and let go when they are discovered.

Responsible for what a server needs to be reached: its cells, its addresses, how it is spoken with. Knows nothing of choosing or
of requests. Invariant: a server that is let go gets nothing new from that moment on, and keeps what it has under way; the row
of one that stays keeps its object.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lbapp.engine.channel import SocketAddress
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.tls_contexts import build_pool_context, server_tls
from lbapp.engine.worker.private import PrivateServer
from lbapp.engine.worker.reactor import Reactor
from lbapp.engine.worker.record import Book, ServerCells
from lbapp.engine.worker.upstream import UpstreamServer
from lbapp.model.entities import Configuration, Pool, Server
from lbapp.model.limits import Limits
from lbapp.model.tls import TlsMaterial

if TYPE_CHECKING:
    from lbapp.engine.worker.run import Worker


class Members:
    """Makes servers for the pools of one worker."""

    def __init__(self, reactor: Reactor, segment: Segment, slot: int, book: Book, limits: Limits) -> None:
        self._reactor = reactor
        self._segment = segment
        self._slot = slot
        self._book = book
        self._limits = limits
        self._contexts: dict[str, ssl.SSLContext | None] = {}

    def make(self, pool: Pool, servers: Mapping[int, Server]) -> dict[int, UpstreamServer]:
        """Return the servers of a pool, by row in ascending order."""
        made = {row: self._make(pool, row, server) for row, server in servers.items()}
        for place, server in enumerate(made.values()):
            server.place = place
        return dict(sorted(made.items()))

    def _make(self, pool: Pool, row: int, server: Server) -> UpstreamServer:
        kind = UpstreamServer if pool.transport.proxy_protocol is None else PrivateServer
        cells = ServerCells(self._segment, self._slot, row, self._book)
        made = kind(self._reactor, server, cells, self._limits, pool.transport)
        made.tls = server_tls(pool, server, self._contexts.get(pool.name))
        return made

    def build_contexts(self, configuration: Configuration, material: TlsMaterial) -> None:
        """Take over what speaks TLS with the servers of the pools that ask for it. Raises ssl.SSLError, OSError."""
        self._contexts = {pool.name: build_pool_context(pool, material) for pool in configuration.pools}

    def speak_tls(self, worker: Worker) -> None:
        """Have every new connection to a server speak by the contexts that were built; open ones stay as they are."""
        for upstream in worker.pools:
            for server in upstream.servers.values():
                server.tls = server_tls(upstream.settings, server.server, self._contexts[upstream.name])

    def known_ones(
        self, known: Mapping[int, UpstreamServer], made: Mapping[int, UpstreamServer]
    ) -> dict[int, UpstreamServer]:
        """Return servers as they were made, or, where one is reached as it was, the one that is known: it keeps its
        connections. Another that is known at a row is let go.
        """
        servers = {}
        for row, server in made.items():
            before = known.get(row)
            if before is not None and before.may_become(server):
                before.become(server)
                server = before
            elif before is not None:
                before.retire()
            servers[row] = server
        return servers

    def change(self, worker: Worker, pool: Pool, servers: Mapping[int, Server]) -> None:
        """Give a pool exactly these servers from now on. A server whose weight or role has changed keeps its connections."""
        upstream = next(each for each in worker.pools if each.name == pool.name)
        before = upstream.servers
        made = self.known_ones(worker.servers, self.make(pool, servers))
        for row, server in made.items():
            server.addresses = _addresses_of(servers[row])
        worker.servers.update(made)
        for row, server in before.items():
            if made.get(row) is not server:
                server.retire()
        upstream.change_servers(made)


def _addresses_of(server: Server) -> tuple[SocketAddress, ...]:
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    return ((int(family), server.host, server.port),)


def set_addresses(worker: Worker, addresses: Mapping[int, tuple[SocketAddress, ...]]) -> None:
    """Take over where each server can be reached."""
    for row, server in worker.servers.items():
        if row in addresses or not server.is_retired:
            server.addresses = addresses.get(row, ())
