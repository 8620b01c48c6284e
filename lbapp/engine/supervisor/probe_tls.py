"""Whether a probe speaks TLS, and how.

Responsible for the choice between what the pool speaks and what its health check says. Knows nothing of handshakes. Invariant:
a check that says nothing of TLS speaks as traffic does; one that speaks it where traffic does not verifies the server by
the system's store and the server's host.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from lbapp.engine.tls_contexts import ServerTls, build_client_context
from lbapp.model.entities import Pool, Server
from lbapp.model.tls import PoolTls

Tls = Callable[[Pool, Server], ServerTls | None]  # how a server is spoken with


def plain(_pool: Pool, _server: Server) -> None:
    """Speak with no server in TLS."""


class SpokenWith:
    """How probes speak with servers; `tls` is how traffic does."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._own: ssl.SSLContext | None = None

    def of(self, pool: Pool, server: Server) -> ServerTls | None:
        """Return how a probe speaks with a server; None: in plain text."""
        wanted = pool.health_check.tls
        if wanted is False:
            return None
        found = self._tls(pool, server)
        if found is not None or not wanted:
            return found
        if self._own is None:
            self._own = build_client_context(PoolTls(), b"", None)
        return ServerTls(self._own, None if server.is_unix else server.host)
