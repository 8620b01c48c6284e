"""TLS at work: the handshake with a client before anything else is served, and with a server before anything is sent.

Responsible for who waits for what in a handshake, for how one that fails is counted, and for taking over new certificates. Knows
nothing of records or ciphers (`tls_stream`, `tls_contexts`).

Invariants: every handshake with a client is counted with exactly one end; one that fails leaves nothing behind but its count and
at most one log line a second; connections keep the certificate they began with.
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Final

from lbapp.engine.tls_contexts import ServerTls, build_listener_context
from lbapp.engine.tls_stream import TlsStream
from lbapp.engine.wire.replies import build_reply
from lbapp.engine.worker.reactor import DeadlinePassed, Endpoint
from lbapp.engine.worker.relay import SourceEnded
from lbapp.model.entities import Listener, Protocol
from lbapp.model.limits import FAULT_LOG_INTERVAL_S
from lbapp.model.outcomes import FailureKind
from lbapp.model.tls import HandshakeEnd, TlsMaterial

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

_PLAIN_HTTP: Final = frozenset(("HTTP_REQUEST", "HTTPS_PROXY_REQUEST"))
_ENDS: Final = {
    **dict.fromkeys(_PLAIN_HTTP, HandshakeEnd.NOT_TLS),
    "WRONG_VERSION_NUMBER": HandshakeEnd.NOT_TLS,
    "UNSUPPORTED_PROTOCOL": HandshakeEnd.NO_COMMON_VERSION,
    "VERSION_TOO_LOW": HandshakeEnd.NO_COMMON_VERSION,
    "NO_SHARED_CIPHER": HandshakeEnd.NO_COMMON_CIPHER,
    "NO_SUITABLE_KEY_SHARE": HandshakeEnd.NO_COMMON_CIPHER,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": HandshakeEnd.NO_COMMON_CIPHER,
    "NO_SHARED_SIGNATURE_ALGORITHMS": HandshakeEnd.NO_COMMON_CIPHER,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": HandshakeEnd.CERTIFICATE_MISSING,
}
log = logging.getLogger("lbapp.worker")


class TlsPreamble:
    """Shakes hands with every client of one listener."""

    def __init__(self, listener: Listener, material: TlsMaterial) -> None:
        self._listener = listener
        self._quiet_until = 0.0
        self._context = self._build(material)

    def take(self, material: TlsMaterial) -> None:
        """Serve new connections with what was read anew. Raises ssl.SSLError, OSError, and then changes nothing."""
        self._context = self._build(material)

    def _build(self, material: TlsMaterial) -> ssl.SSLContext:
        return build_listener_context(self._listener, material)

    async def __call__(self, client: Downstream) -> None:
        """Speak TLS with the client from now on. Raises what closes the connection."""
        stream = TlsStream(self._context, client.socket, is_server=True, readiness=client)
        deadline = client.reactor.now + client.limits.tls_handshake_timeout_s
        try:
            while not stream.shake_hands():
                await (client.writable(deadline) if stream.is_blocked else client.readable(deadline))
        except DeadlinePassed:
            self._failed(client, HandshakeEnd.TIMED_OUT, "it did not end in time")
            raise
        except ssl.SSLError as error:
            end = end_of(error)
            reason = _reason(error)
            self._failed(client, end, (reason or str(error)).lower().replace("_", " "))
            if reason in _PLAIN_HTTP and self._listener.protocol is Protocol.HTTP:
                client.send(build_reply(400, "this port speaks https, and the request came without TLS", close=True))
            raise SourceEnded from error
        except OSError:
            self._failed(client, HandshakeEnd.CLIENT_GONE, "the client went")
            raise
        client.secure(stream)
        client.listener.cells.handshake_ended(HandshakeEnd.DONE, bool(stream.object.session_reused))

    def _failed(self, client: Downstream, end: HandshakeEnd, reason: str) -> None:
        client.listener.cells.handshake_ended(end, False)
        now = client.reactor.now
        if (
            end is not HandshakeEnd.CLIENT_GONE and now >= self._quiet_until
        ):  # all are counted; one a second is written out
            self._quiet_until = now + FAULT_LOG_INTERVAL_S
            name, address = self._listener.name, client.address or "unix:"
            log.info("listener %s: the TLS handshake with %s failed: %s", name, address, reason)


def end_of(error: ssl.SSLError) -> HandshakeEnd:
    """Say how a handshake with a client ended that OpenSSL gave up."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return HandshakeEnd.CLIENT_GONE
    if isinstance(error, ssl.SSLCertVerificationError):
        return HandshakeEnd.CERTIFICATE_REFUSED
    reason = _reason(error)
    if reason in _ENDS:
        return _ENDS[reason]
    return HandshakeEnd.REFUSED_BY_CLIENT if "ALERT" in reason else HandshakeEnd.FAILED


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "reason", None) or ""  # only errors of OpenSSL itself have one


async def shake_hands_as_client(upstream: Endpoint, tls: ServerTls, deadline: float) -> None:
    """Speak TLS with a server from now on. Raises ssl.SSLError, OSError, DeadlinePassed and what interrupts a wait."""
    stream = TlsStream(tls.context, upstream.socket, tls.name, readiness=upstream)
    while not stream.shake_hands():
        await (upstream.writable(deadline) if stream.is_blocked else upstream.readable(deadline))
    upstream.secure(stream)


def failure_of(error: BaseException) -> FailureKind | None:
    """Say what went wrong in a handshake with a server; None: nothing that the server did."""
    if isinstance(error, DeadlinePassed):
        return FailureKind.CONNECT_TIMEOUT
    if isinstance(error, ssl.SSLCertVerificationError):
        return FailureKind.TLS_CERTIFICATE
    return FailureKind.TLS_HANDSHAKE if isinstance(error, OSError) else None
