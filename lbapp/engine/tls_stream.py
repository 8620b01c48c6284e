"""TLS over a non-blocking socket, with the `recv` and `send` of a socket.

Responsible for the handshake, for encrypting what is sent and decrypting what is received, and for ending TLS in good order.
Knows nothing of HTTP, of reactors or of who waits: like a socket it raises BlockingIOError. Shared by workers and probes.

Invariants: BlockingIOError from `recv` means that the socket itself is empty, so an edge will come, and a `recv` that has not
read the socket to its end says that there is more to read; after `send` raised it, the same bytes have to be given again, and are
never encrypted twice; of what the peer does not take, no more is kept than one `send` made. A stream that the peer ended without
saying so in TLS raises an error: it may have been cut short by anybody on the way.
"""

from __future__ import annotations

import ssl
from socket import socket
from typing import Final, Protocol

from lbapp.model.limits import RECEIVE_BYTES, TLS_SEND_BYTES_MAX, TLS_UNSENT_BYTES_MAX

_RECORD_BYTES: Final = 16 * 1024  # the most that one record carries


class Readiness(Protocol):
    """Who has to know that there is more to read, although the socket is empty."""

    def read_again(self) -> None:
        """Another read will give bytes."""


class TlsStream:
    """One side of a TLS connection. `object` tells what was agreed on; `raw` is the socket underneath."""

    __slots__ = (
        "_accepted", "_decrypted", "_has_more", "_incoming", "_outgoing", "_raw_recv", "_raw_send", "_read", "_readiness",
        "_unsent", "_was_full", "_write", "object", "raw",
    )  # fmt: skip

    def __init__(
        self,
        context: ssl.SSLContext,
        raw: socket,
        server_name: str | None = None,
        *,
        is_server: bool = False,
        readiness: Readiness | None = None,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self._incoming, self._outgoing, is_server, server_name)
        self.raw = raw
        self._raw_recv, self._raw_send = raw.recv, raw.send
        self._read, self._write = self.object.read, self.object.write
        self._readiness = readiness
        self._unsent: bytes | memoryview = b""  # encrypted, and not taken by the socket yet
        self._accepted = 0  # how many of the caller's bytes are in `_unsent`
        self._decrypted = b""  # received before TLS was ended in the other direction
        self._has_more = False  # received and not read yet
        self._was_full = False  # the last read of the socket: there may be more in it, of which no edge will tell

    def fileno(self) -> int:
        """Return the descriptor of the socket, to wait for."""
        return self.raw.fileno()

    @property
    def is_blocked(self) -> bool:
        """Say whether the socket has to take something before anything else can happen."""
        return bool(self._unsent)

    def shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is done.

        If not: wait to write when `is_blocked`, else to read. Raises ssl.SSLError, with the alert on its way; OSError.
        """
        while self._flush():
            try:
                self.object.do_handshake()
            except ssl.SSLWantReadError:
                if not self._flush():
                    return False
                try:
                    self._receive()
                except BlockingIOError:
                    return False
            except ssl.SSLError:
                self._flush_what_can_be()
                raise
            else:
                self._flush()  # what does not go now goes before the first bytes
                self._has_more = bool(self._incoming.pending)
                if (self._has_more or self._was_full) and self._readiness is not None:
                    self._readiness.read_again()
                return True
        return False

    def recv(self, bytes_max: int) -> bytes:
        """Return what was received, at most `bytes_max`; empty at the end. Raises BlockingIOError, OSError."""
        if self._decrypted:
            data, self._decrypted = self._decrypted[:bytes_max], self._decrypted[bytes_max:]
            self._note_more(True)
            return data
        has_looked = False
        while True:
            if not self._has_more:
                self._receive()
                has_looked = True
            try:
                data = self._read(bytes_max if bytes_max < _RECORD_BYTES else _RECORD_BYTES)
            except ssl.SSLWantReadError:
                self._has_more = False
                if self._outgoing.pending and not self._flush() and len(self._unsent) > TLS_UNSENT_BYTES_MAX:
                    raise OSError("the peer makes TLS talk and takes no answer") from None
                continue  # the rest of a record may be there
            except ssl.SSLZeroReturnError:
                return b""  # the peer's end, after our own
            break
        if self._incoming.pending or len(data) >= _RECORD_BYTES or len(data) == bytes_max:
            data = self._read_on(data, bytes_max)
        else:
            self._has_more = False
        # Who waited for an edge has had it: where the socket was not read, or not to its end, it will not come again.
        if (self._was_full or not has_looked) and self._readiness is not None:
            self._readiness.read_again()
        return data

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and send; return how many bytes are taken. Raises BlockingIOError, OSError."""
        if self._unsent and not self._flush():
            raise BlockingIOError
        if self._accepted:
            accepted, self._accepted = self._accepted, 0
            return accepted
        if len(data) > TLS_SEND_BYTES_MAX:
            data = memoryview(data)[:TLS_SEND_BYTES_MAX]
        elif not data:
            return 0
        written = self._write(data)
        encrypted = self._outgoing.read()
        try:
            sent = self._raw_send(encrypted)
        except BlockingIOError:
            sent = 0
        if sent == len(encrypted):
            return written
        self._unsent = memoryview(encrypted)[sent:]
        self._accepted = written
        raise BlockingIOError

    def end(self) -> None:
        """Say in TLS that no more is sent, as far as the socket takes it. What was received can still be read."""
        try:
            if self._incoming.pending or self._has_more:
                # Ending TLS would stumble over it: it looks for the peer's own end.
                self._decrypted = self._read_on(self._decrypted, 1 << 30)
            self._unwrap()
            self._flush_what_can_be()
        except OSError:
            pass  # already gone

    def detach(self) -> None:
        """Forget who is told of more to read, which is mostly who holds this stream."""
        self._readiness = None

    def _unwrap(self) -> None:
        try:
            self.object.unwrap()
        except (ssl.SSLError, ValueError):
            pass  # said; the peer's own end has not come yet, or there is nothing to end

    def _receive(self) -> None:
        """Take in what has come."""
        raw = self._raw_recv(RECEIVE_BYTES)
        if raw:
            self._incoming.write(raw)
        else:
            self._incoming.write_eof()
        self._was_full = len(raw) == RECEIVE_BYTES

    def _read_on(self, data: bytes, bytes_max: int) -> bytes:
        """Read the records that have come behind `data`."""
        parts, room = [data], bytes_max - len(data)
        try:
            while room > 0:
                more = self._read(min(room, _RECORD_BYTES))
                if not more:
                    self._note_more(True)  # the end, for the next read
                    break
                parts.append(more)
                room -= len(more)
            else:
                self._note_more(bool(self._incoming.pending or self.object.pending()))
        except ssl.SSLWantReadError:
            self._has_more = False
        except ssl.SSLError:
            self._note_more(True)  # an end or a fault: what came before it is sound, and the next read meets it again
        return b"".join(parts)

    def _note_more(self, has_more: bool) -> None:
        self._has_more = has_more
        if has_more and self._readiness is not None:
            self._readiness.read_again()

    def _flush(self) -> bool:
        """Send what is encrypted; return whether all of it went."""
        if self._outgoing.pending:
            self._unsent = bytes(self._unsent) + self._outgoing.read()
        while self._unsent:
            try:
                sent = self._raw_send(self._unsent)
            except BlockingIOError:
                return False
            self._unsent = memoryview(self._unsent)[sent:]
        return True

    def _flush_what_can_be(self) -> None:
        try:
            self._flush()
        except OSError:
            pass
