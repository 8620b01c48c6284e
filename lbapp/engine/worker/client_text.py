"""Who a client is, in words.

Responsible for the address that logs and lists of connections name. Knows nothing of either. Invariant: where a trusted proxy
said who asks, it is that one, without the proxy's port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream


def client_of(client: Downstream) -> tuple[str, int]:
    """Return the address of who asks, `unix:` over a Unix socket, and the port; 0: it is not known."""
    address, peer = client.client_address, client.peer
    if address is None:
        return "unix:", 0
    is_peer = address is client.address and client.proxied is None
    return str(address), peer[1] if is_peer and isinstance(peer, tuple) else 0
