"""One run of a health check against one server.

Responsible for the order of things and for the words for what was found. Knows nothing of thresholds, states or when to
probe. Invariants: a probe ends within its timeout, whatever the server does; it never raises for anything a server can do;
what is not a success has a reason, and the beginning of what the server said instead.
"""

from __future__ import annotations

import errno
import ssl
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import anyio
import h11

from lbapp.engine.channel import SocketAddress
from lbapp.engine.policy.health import ProbeResult
from lbapp.engine.supervisor.probe_http import ask, printable
from lbapp.engine.supervisor.probe_stream import ProbeStream
from lbapp.engine.supervisor.probe_text import converse
from lbapp.engine.tls_contexts import ServerTls
from lbapp.model.entities import CheckType, HealthCheck
from lbapp.model.transport import PoolTransport

_PLAIN: Final = PoolTransport()
_REASONS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
    errno.EAGAIN: "the queue of its socket is full",
    errno.EMFILE: "lbapp has too many open files",
}


async def probe(
    check: HealthCheck,
    addresses: Sequence[SocketAddress],
    authority: str,
    transport: PoolTransport = _PLAIN,
    tls: ServerTls | None = None,
) -> ProbeResult:
    """Run `check` once.

    `authority` is the Host field, unless the check has its own; of several addresses the first that connects is asked, the way
    traffic would.
    """
    started = time.monotonic()
    stream = ProbeStream()
    result = ProbeResult(is_success=False, reason=f"no answer within {check.timeout_s:g}s")
    try:
        with anyio.move_on_after(check.timeout_s):
            result = await _probe(stream, check, authority, (at_port(addresses, check.port), transport, tls))
    except h11.RemoteProtocolError:
        result = ProbeResult(is_success=False, reason="no valid HTTP response")
    except OSError as error:
        result = ProbeResult(is_success=False, reason=reason_of(error))
    finally:
        stream.close()
    excerpt = result.excerpt or ("" if result.is_success else printable(stream.seen))
    return replace(result, layer=stream.layer, duration_s=time.monotonic() - started, excerpt=excerpt)


async def _probe(
    stream: ProbeStream,
    check: HealthCheck,
    authority: str,
    where: tuple[Sequence[SocketAddress], PoolTransport, ServerTls | None],
) -> ProbeResult:
    await stream.open(*where)
    result = await (converse(stream, check) if check.type is CheckType.TCP else ask(stream, check, authority))
    stream.end()
    return result


def at_port(addresses: Sequence[SocketAddress], port: int | None) -> Sequence[SocketAddress]:
    """Return the same hosts at another port, if there is one."""
    return addresses if port is None else [(family, host, port) for family, host, _ in addresses]


def reason_of(error: OSError) -> str:
    """Return an error of a connection in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(getattr(error, 'reason', None) or str(error)).lower().replace('_', ' ')}"
    return _REASONS.get(error.errno or 0) or error.strerror or str(error)
