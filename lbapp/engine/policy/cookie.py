"""The cookie that names a client's server: written, read, and judged.

Responsible for the bytes of its value and for the verdict over one that comes back. Knows nothing of requests, clocks or
whether a server is up. Wherever the configuration is the same the cookie is: no node keeps anything.

A value is the base64url of 33 bytes: key (2, from its id), server (8, from its id), time of issue (4), time of the
first visit (4), Unix seconds, and the first 15 bytes of an HMAC-SHA256 (RFC 2104) over the pool's name, the cookie's name and
these. 120 bits of it leave nothing to guess at.

Invariants: values are all of one length; what was not signed by one of the keys, for this pool and this cookie, has no
meaning; no value makes `read` raise.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import blake2b
from hmac import compare_digest
from typing import Final, NamedTuple, TypeVar

from lbapp.model.limits import CLOCK_AHEAD_MAX_S, COOKIES_KEPT_MAX
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceVerdict

VALUE_LETTERS: Final = 44
_BODY: Final = struct.Struct(">2s8sII")
_MAC_BYTES: Final = 15
_BLOCK_BYTES: Final = 64
_VALUE_BYTES: Final = _BODY.size + _MAC_BYTES
_SECONDS_MAX: Final = (1 << 32) - 1


class CookieReading(NamedTuple):
    """What a value says. `server`: its row, None unless VALID; what follows means nothing unless VALID."""

    verdict: PersistenceVerdict
    server: int | None = None
    first_seen_s: int = 0
    issued_s: int = 0
    is_of_first_key: bool = True


NOTHING: Final = CookieReading(PersistenceVerdict.NONE)
_INVALID: Final = CookieReading(PersistenceVerdict.INVALID)
_EXPIRED: Final = CookieReading(PersistenceVerdict.EXPIRED)
_TOO_OLD: Final = CookieReading(PersistenceVerdict.TOO_OLD)
_SERVER_GONE: Final = CookieReading(PersistenceVerdict.SERVER_GONE)


class ServerCookie:
    """The cookie of one pool. `servers`: row by id (`pool/server`)."""

    def __init__(self, pool: str, settings: Persistence, servers: Mapping[str, int]) -> None:
        if not settings.keys:
            raise ValueError("a cookie needs a key")
        self.ttl_s, self.life_s = settings.ttl_s, settings.life_s
        self._context = f"lbapp\n{pool}\n{settings.cookie}\n".encode()
        self._signers = {key_mark(key.id): _signer(key.secret, self._context) for key in settings.keys}
        self._mark = key_mark(settings.keys[0].id)
        self._rows = {server_mark(name): row for name, row in servers.items()}
        self._marks = {row: mark for mark, row in self._rows.items()}
        # Clients bring the same value again and again, and all that come new to a server within a second get the same one.
        self._signed: dict[bytes, _Said] = {}
        self._written: dict[tuple[int, int, int], bytes] = {}

    def write(self, server: int, now_s: float, first_seen_s: float) -> bytes:
        """Return the value for a server, by its row. Times are Unix seconds."""
        what = (server, min(max(int(now_s), 0), _SECONDS_MAX), min(max(int(first_seen_s), 0), _SECONDS_MAX))
        value = self._written.get(what)
        if value is None:
            body = _BODY.pack(self._mark, self._marks[server], *what[1:])
            value = urlsafe_b64encode(body + _mac(self._signers[self._mark], body))
            _keep(self._written, what, value)
        return value

    def read(self, value: bytes, now_s: float) -> CookieReading:
        """Judge a value as it came from a client."""
        said = self._signed.get(value)
        if said is None:
            said = self._verified(value)
            if said is None:
                return _INVALID
            _keep(self._signed, value, said)
        server, issued, first_seen, is_of_first_key = said
        if max(issued, first_seen) - now_s > CLOCK_AHEAD_MAX_S:
            return _INVALID
        if now_s - first_seen > self.life_s:
            return _TOO_OLD
        if now_s - issued > self.ttl_s:
            return _EXPIRED
        row = self._rows.get(server)
        if row is None:
            return _SERVER_GONE
        return CookieReading(PersistenceVerdict.VALID, row, first_seen, issued, is_of_first_key)

    def _verified(self, value: bytes) -> _Said | None:
        """Return what a value says if one of our keys has signed it."""
        if len(value) != VALUE_LETTERS:
            return None
        try:
            data = urlsafe_b64decode(value)
        except ValueError:
            return None
        if len(data) != _VALUE_BYTES:
            return None
        body = data[: _BODY.size]
        mark, server, issued, first_seen = _BODY.unpack(body)
        signer = self._signers.get(mark)
        if signer is None or not compare_digest(data[_BODY.size :], _mac(signer, body)):
            return None
        return server, issued, first_seen, mark == self._mark

    def is_to_be_renewed(self, reading: CookieReading, now_s: float) -> bool:
        """Say whether a valid value is old enough, or of a key that goes, to be issued anew."""
        return not reading.is_of_first_key or now_s - reading.issued_s >= self.ttl_s / 8


_Said = tuple[bytes, int, int, bool]  # mark of the server, times of issue and first visit, whether the first key signed
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _keep(kept: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(kept) >= COOKIES_KEPT_MAX:
        kept.clear()
    kept[key] = value


_Signer = tuple["hashlib._Hash", "hashlib._Hash"]


def _signer(secret: bytes, context: bytes) -> _Signer:
    """Return the inner and the outer hash of an HMAC-SHA256 with its key, and the context, taken in (RFC 2104 section 4).

    To go on from copies of these takes a third of the time of a whole HMAC, at every request.
    """
    if len(secret) > _BLOCK_BYTES:
        secret = hashlib.sha256(secret).digest()
    block = secret.ljust(_BLOCK_BYTES, b"\0")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in block) + context)
    return inner, hashlib.sha256(bytes(each ^ 0x5C for each in block))


def _mac(signer: _Signer, body: bytes) -> bytes:
    inner, outer = signer[0].copy(), signer[1].copy()
    inner.update(body)
    outer.update(inner.digest())
    return outer.digest()[:_MAC_BYTES]


def key_mark(key_id: str) -> bytes:
    """Return the two bytes that stand for a key in a cookie."""
    return blake2b(key_id.encode(), digest_size=2).digest()


def server_mark(server_id: str) -> bytes:
    """Return the eight bytes that stand for a server in a cookie: the same on every node."""
    return blake2b(server_id.encode(), digest_size=8).digest()


def set_cookie_lines(settings: Persistence, value: bytes, *, secure: bool) -> bytes:
    """Return the whole lines that give a client its cookie: of a session, as the value itself knows when it ends."""
    parts = [f"Set-Cookie: {settings.cookie}=".encode(), value, b"; Path=/"]
    if settings.http_only:
        parts.append(b"; HttpOnly")
    parts.append(b"; SameSite=" + settings.same_site.encode())
    if secure:
        parts.append(b"; Secure")
    parts.append(b"\r\nCache-Control: private\r\n" if settings.nocache else b"\r\n")
    return b"".join(parts)


__all__ = [
    "NOTHING",
    "VALUE_LETTERS",
    "CookieReading",
    "PersistenceKey",
    "ServerCookie",
    "key_mark",
    "server_mark",
    "set_cookie_lines",
]
