"""Servers whose connections are each for one client alone, because they begin with its PROXY header.

Responsible for which idle connection a client may have. Knows nothing of headers. Invariants: a connection never carries a
request of another client than the one it began with; it goes when its client has gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbapp.engine.worker.upstream import Upstream, UpstreamServer, is_silent

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream


class PrivateServer(UpstreamServer):
    """A server as this worker reaches it, with a connection of its own for each client."""

    def take_idle(self, client: Downstream, *, is_to_be_checked: bool) -> Upstream | None:
        """Return the idle connection of this client, or None. A client has one at most: its requests come one by one."""
        for upstream in self.idle:
            if upstream.owner is client:
                self.idle.remove(upstream)
                upstream.is_idle = False
                if self.reactor.now < upstream.expires_at and is_silent(upstream):
                    return upstream
                upstream.close()
                return None
        return None

    def give_back(self, upstream: Upstream) -> None:
        """Keep a connection for its client; the one that has been idle longest makes room for it."""
        if self.idle and len(self.idle) >= self.limits.idle_connections_max:
            self.idle.pop(0).close()
        super().give_back(upstream)

    def close_idle(self, idle_timeout_s: float = 0.0) -> None:
        """Close what has been idle for longer, and what nobody will come back for."""
        for upstream in [each for each in self.idle if each.owner is None or each.owner.fd < 0]:
            self.idle.remove(upstream)
            upstream.close()
        super().close_idle(idle_timeout_s)

    async def dial(self, client: Downstream) -> Upstream:
        """See UpstreamServer."""
        upstream = await super().dial(client)
        upstream.owner = client
        return upstream
