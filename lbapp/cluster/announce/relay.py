"""The helper that ExaBGP runs: it carries lines between ExaBGP and `lbapp announce`, and ends with either.

Responsible for that alone. Knows nothing of what the lines say. A file that is run, without lbapp or its libraries: it starts
in 20 ms, in place of one that died. Standard input and output are ExaBGP's; LBAPP_ANNOUNCE_SOCKET names the socket of `lbapp
announce`.

Invariant: ExaBGP does not outlive `lbapp announce`, however that ends. Where nobody is on the socket any more, ExaBGP is ended,
and with it its sessions and routes. A helper that dies alone is started anew by ExaBGP, and told what holds.
"""

import contextlib
import os
import selectors
import signal
import socket
import sys


def main() -> int:
    """Carry lines until one side ends. Return the exit status."""
    parent = os.getppid()
    # Held open, it stands for this very process: a number alone might be another's by then.
    daemon = os.pidfd_open(parent)
    if os.getppid() != parent:
        return 0
    peer = socket.socket(socket.AF_UNIX)
    try:
        peer.connect(os.environ["LBAPP_ANNOUNCE_SOCKET"])
        ended = _carry(peer)
    except OSError:
        ended = peer
    if ended is peer:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(daemon, signal.SIGTERM)
    return 0


def _carry(peer: socket.socket) -> object:
    """Return the side that has ended: the socket, or standard input."""
    ways = {sys.stdin: peer.fileno(), peer: sys.stdout.fileno()}
    with selectors.DefaultSelector() as selector:
        for side in ways:
            selector.register(side, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                try:
                    data = os.read(key.fd, 65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return key.fileobj
                to = ways[key.fileobj]
                while data:
                    data = data[os.write(to, data) :]


if __name__ == "__main__":
    sys.exit(main())
