"""Telling the service manager how the engine is doing (sd_notify).

Responsible for one datagram to the socket named by NOTIFY_SOCKET, with descriptors if need be. Knows nothing of what words cause.
Invariant: never fails and never waits: an engine without a service manager, or with one that does not listen,
runs all the same.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence


def notify(state: str, fds: Sequence[int] = ()) -> bool:
    """Send `state`, such as `READY=1`, and descriptors; say whether it was sent. A leading @ names an abstract socket."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or address[0] not in "/@":
        return False
    if address[0] == "@":
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender,
    ):
        sender.connect(address)
        socket.send_fds(sender, [state.encode()], fds)
        return True
    return False
