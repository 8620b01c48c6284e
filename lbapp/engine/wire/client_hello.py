"""Reading the first message of TLS: which server a client asks for (RFC 8446 4.1.2 and 5.1, RFC 6066 3, RFC 7301 3.1).

Responsible for the bytes of a ClientHello in its records, of any version from SSL 3 to TLS 1.3. Knows nothing of sockets, and
leaves everything else that a hello says to the server that it is for.

Invariants: it needs no byte behind the hello, and says that something is wrong with one as soon as that can be seen; a hello of
more than CLIENT_HELLO_BYTES_MAX is refused; what it accepts has exactly one meaning: lengths that do not add up, a second list
of names or a name that is no host name are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lbapp.model.limits import CLIENT_HELLO_BYTES_MAX

_RECORD_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_RECORD_BYTES_MAX: Final = 1 << 14
_EXTENSION_SERVER_NAME: Final = 0
_EXTENSION_ALPN: Final = 16
_HOST_NAME: Final = 0
_NAME: Final = re.compile(rb"(?!.{254})[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?").fullmatch


class BadClientHello(Exception):
    """These bytes begin no ClientHello that could be read."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client says before anything is agreed on. `server_name` None: it asks for none. Lower case."""

    server_name: str | None
    protocols: tuple[bytes, ...]  # of ALPN, the one it likes best first


def parse_client_hello(data: bytes) -> ClientHello | None:
    """Return the hello that `data` begins with; None when some of it is still to come. Raises BadClientHello."""
    message = _message(data)
    return None if message is None else _hello(message)


def _message(data: bytes) -> bytes | None:
    """Put the handshake message together that may be spread over several records."""
    message, at = b"", 0
    while True:
        wanted = _wanted(message)
        if len(message) >= wanted:
            return message[4:wanted]
        header = data[at : at + 5]
        if header[:1] not in (b"", b"\x16") or header[1:2] not in (b"", b"\x03"):
            raise BadClientHello("this is not TLS")
        if len(header) < 5:
            break
        length = int.from_bytes(header[3:5], "big")
        if not 0 < length <= _RECORD_BYTES_MAX:
            raise BadClientHello(f"a record of {length} bytes")
        part = data[at + 5 : at + 5 + length]
        message += part
        at += 5 + length
        if len(part) < length:
            wanted = _wanted(message)
            if len(message) >= wanted:
                return message[4:wanted]
            break
    if len(data) >= CLIENT_HELLO_BYTES_MAX:
        raise BadClientHello(f"a hello in more than {CLIENT_HELLO_BYTES_MAX} bytes")
    return None


def _wanted(message: bytes) -> int:
    """Return how long the message is with its header, as far as that is known."""
    if message and message[0] != _CLIENT_HELLO:
        raise BadClientHello("TLS, but no hello")
    if len(message) < 4:
        return 4
    wanted = 4 + int.from_bytes(message[1:4], "big")
    if wanted > CLIENT_HELLO_BYTES_MAX:
        raise BadClientHello(f"a hello of {wanted} bytes")
    return wanted


class _Reader:
    """Reads vectors from the front (RFC 8446 3.4)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            raise BadClientHello("lengths that do not add up")
        self._at += count
        return part

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        return self.take(self.number(width))

    def end(self) -> None:
        if not self.is_at_end:
            raise BadClientHello("lengths that do not add up")


def _hello(message: bytes) -> ClientHello:
    reader = _Reader(message)
    reader.take(2 + 32)  # version and random
    reader.vector(1)  # session
    reader.vector(2)  # ciphers
    reader.vector(1)  # compressions
    names: str | None = None
    protocols: tuple[bytes, ...] = ()
    if reader.is_at_end:
        return ClientHello(None, ())  # before extensions there were
    extensions = _Reader(reader.vector(2))
    reader.end()
    seen: set[int] = set()
    while not extensions.is_at_end:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind in seen:
            raise BadClientHello(f"extension {kind} twice")
        seen.add(kind)
        if kind == _EXTENSION_SERVER_NAME:
            names = _server_name(body)
        elif kind == _EXTENSION_ALPN:
            protocols = _protocols(body)
    return ClientHello(names, protocols)


def _server_name(body: bytes) -> str:
    reader = _Reader(body)
    entries = _Reader(reader.vector(2))
    reader.end()
    found: bytes | None = None
    while not entries.is_at_end:
        kind, name = entries.number(1), entries.vector(2)
        if kind == _HOST_NAME:
            if found is not None or not _NAME(name):
                raise BadClientHello("a server name that is none")
            found = name
    if found is None:
        raise BadClientHello("a list of server names without one")
    return found.decode("ascii").lower().removesuffix(".")


def _protocols(body: bytes) -> tuple[bytes, ...]:
    reader = _Reader(body)
    entries = _Reader(reader.vector(2))
    reader.end()
    found: list[bytes] = []
    while not entries.is_at_end:
        found.append(entries.vector(1))
    return tuple(found)
