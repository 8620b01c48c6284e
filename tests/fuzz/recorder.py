"""A server that writes down every byte it gets, and answers as a vector says.

Responsible for reading requests with the strict reader and for keeping what came. Knows nothing of who stands between it and
the client. Invariant: a request is written down before it is answered, so whoever has the answer may look.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress

from tests.fuzz.strict import Incomplete, Message, Unsound, check_beginning, read_request
from tests.fuzz.vectors.kinds import GOOD

VICTIM = re.compile(rb"[A-Z]+ (/victim/[0-9]+) ").match
Answer = tuple[bytes | float | None, ...]


class Recorder:
    """The server. `requests` holds whole ones, `unsound` what is none."""

    def __init__(self) -> None:
        self.answer: Answer = (GOOD,)
        self.is_early = False
        self.requests: list[Message] = []
        self.unsound: list[str] = []
        self.begun: dict[socket.socket, bytes] = {}
        self._scripts = 0
        self._changed = threading.Condition()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def set(self, answer: Answer, *, is_early: bool = False) -> None:
        """Forget all that came and answer like this from now on."""
        self.answer, self.is_early = answer, is_early
        self.requests, self.unsound = [], []

    def wait_for_scripts(self, timeout_s: float = 5.0) -> None:
        """Return when no answer is being sent."""
        with self._changed:
            self._changed.wait_for(lambda: not self._scripts, timeout_s)

    def check_begun(self) -> None:
        """Look at the beginnings of requests that are not whole yet."""
        for data in list(self.begun.values()):
            self._note_beginning(data)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in list(self.begun):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self.begun[connection] = b""
        connection.settimeout(30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a late part is sent when it is due
        with connection, suppress(OSError):
            self._read(connection)
        self._note_beginning(self.begun.pop(connection))

    def _note_beginning(self, data: bytes) -> None:
        try:
            check_beginning(data)
        except Unsound as error:
            self.unsound.append(f"{error}: {data[:200]!r}")

    def _read(self, connection: socket.socket) -> None:
        has_answered = False
        while more := connection.recv(65536):
            data = self.begun[connection] + more
            while data:
                if self.is_early and not has_answered and b"\r\n\r\n" in data and not VICTIM(data):
                    has_answered = True
                    self.requests.append(Message(data.partition(b"\r\n")[0], [], raw=data))
                    self._play(connection, self.answer)
                try:
                    request = read_request(data)
                except Incomplete:
                    break
                except Unsound as error:
                    self.unsound.append(f"{error}: {data[:200]!r}")
                    self.begun[connection] = b""
                    return
                data = data[len(request.raw) :]
                if has_answered:
                    has_answered = False
                    continue
                self._answer(connection, request)
            self.begun[connection] = data

    def _answer(self, connection: socket.socket, request: Message) -> None:
        victim = VICTIM(request.raw)
        if victim is not None:
            body = victim[1]
            self._play(connection, (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),))
            return
        self.requests.append(request)
        self._play(connection, self.answer)

    def _play(self, connection: socket.socket, answer: Answer) -> None:
        with self._changed:
            self._scripts += 1
        try:
            for part in answer:
                if part is None:
                    connection.shutdown(socket.SHUT_RDWR)
                elif isinstance(part, float):
                    time.sleep(part)
                else:
                    connection.sendall(part)
        finally:
            with self._changed:
                self._scripts -= 1
                self._changed.notify_all()
