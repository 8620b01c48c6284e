"""The server behind an engine of the lab: it answers every request with the node's name, on connections that it keeps."""

from __future__ import annotations

import socket
import sys
import threading


def serve(connection: socket.socket, name: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name)
    data = b""
    with connection:
        while chunk := connection.recv(65536):
            data += chunk
            while b"\r\n\r\n" in data:
                data = data.partition(b"\r\n\r\n")[2]
                connection.sendall(answer)


def main() -> None:
    with socket.create_server(("127.0.0.1", 9001), backlog=128) as server:
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection, sys.argv[1].encode()), daemon=True).start()


if __name__ == "__main__":
    main()
