"""A server that takes uploads and throws them away: `python -m tests.bench.sink PORT`.

Responsible for reading a request with a Content-Length to its end before it answers, which nginx alone does
not do without writing the body to disk. Knows no chunked bodies. Invariant: an answer is sent only after the
last body byte.
"""

from __future__ import annotations

import re
import socket
import socketserver
import sys

DISCARD_BYTES = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


def discard(connection: socket.socket, count: int) -> int:
    """Receive and drop up to `count` bytes without copying them; return how many came before the end."""
    buffer = bytearray(DISCARD_BYTES)
    left = count
    while left:
        got = connection.recv_into(buffer, min(left, DISCARD_BYTES), socket.MSG_TRUNC)
        if not got:
            break
        left -= got
    return count - left


class Upload(socketserver.BaseRequestHandler):
    """One keep-alive connection."""

    request: socket.socket

    def handle(self) -> None:
        """Answer each request with the number of body bytes that it had."""
        while (head := self._read_head()) is not None:
            text, rest = head
            found = _LENGTH.search(text)
            length = int(found[1]) if found else 0
            taken = len(rest) + discard(self.request, length - len(rest))
            answer = str(taken).encode()
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))

    def _read_head(self) -> tuple[bytes, bytes] | None:
        data = b""
        while b"\r\n\r\n" not in data:
            received = self.request.recv(DISCARD_BYTES)
            if not received:
                return None
            data += received
        text, _, rest = data.partition(b"\r\n\r\n")
        return text, rest


class Sink(socketserver.ThreadingTCPServer):
    """Uploads on loopback, a thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    with Sink(("127.0.0.1", int(sys.argv[1])), Upload) as server:
        server.serve_forever()
