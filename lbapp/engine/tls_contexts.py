"""From settings and material to what OpenSSL works with.

Responsible for the TLS contexts of listeners and pools, and for which certificate a client gets. Knows nothing of sockets, files
or processes: what it needs of files came as bytes, so that a worker that is started again serves what the others serve,
whatever has happened to the files meanwhile. Shared by the workers and by the supervisor's probes.

Invariants: nothing is ever asked of a terminal; a context that is returned can serve; names are matched as RFC 6125 6.4.3 has
it: a wildcard stands for one whole label, the leftmost.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lbapp.engine.policy.server_names import CertificateNames
from lbapp.model.entities import Listener, Pool, Protocol, Server
from lbapp.model.tls import CertificateMaterial, ClientCertificates, ListenerTls, PoolTls, TlsMaterial, TlsVersion

_MINIMUM: Final = {TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS_1_3: ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {
    ClientCertificates.NONE: ssl.CERT_NONE,
    ClientCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientCertificates.REQUIRED: ssl.CERT_REQUIRED,
}
HTTP_PROTOCOLS: Final = ("http/1.1",)


def build_listener_context(listener: Listener, material: TlsMaterial) -> ssl.SSLContext:
    """Return what speaks TLS with the clients of a listener that does. Raises ssl.SSLError, OSError."""
    assert listener.tls is not None
    protocols = HTTP_PROTOCOLS if listener.protocol is Protocol.HTTP else ()
    authorities = material.client_authorities.get(listener.name, b"")
    return build_server_context(listener.tls, material.certificates[listener.name], authorities, protocols)


def build_server_context(
    settings: ListenerTls, certificates: Sequence[CertificateMaterial], authorities: bytes, protocols: Sequence[str]
) -> ssl.SSLContext:
    """Return the context of a listener; it chooses among the certificates by itself. Raises ssl.SSLError, OSError."""
    contexts: list[tuple[tuple[str, ...], ssl.SSLContext]] = []
    for group in _grouped(certificates):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _MINIMUM[settings.min_version]
        context.set_ciphers(settings.ciphers)
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.num_tickets = (
            1  # each costs a twelfth of a handshake, and comes anew with every connection that is resumed
        )
        if protocols:
            context.set_alpn_protocols(list(protocols))
        context.verify_mode = _VERIFY[settings.client_certificates]
        if authorities:
            context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
        _be_strict(context)
        for certificate in group:
            load_pair(context, certificate)
        contexts.append((group[0].names, context))
    first = contexts[0][1]
    if len(contexts) > 1:
        first.sni_callback = _chooser(contexts)
    return first


def build_client_context(settings: PoolTls, authorities: bytes, own: CertificateMaterial | None) -> ssl.SSLContext:
    """Return the context of a pool. Raises ssl.SSLError, OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _MINIMUM[settings.min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    _be_strict(context)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authorities:
        context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
    else:
        context.load_default_certs()
    if own is not None:
        load_pair(context, own)
    return context


@dataclass(frozen=True, slots=True)
class ServerTls:
    """How TLS is spoken with one server. `name` None: it is not asked for by name, and not verified."""

    context: ssl.SSLContext
    name: str | None


def build_pool_context(pool: Pool, material: TlsMaterial) -> ssl.SSLContext | None:
    """Return what speaks TLS with the servers of a pool; None where they speak plain text. Raises ssl.SSLError, OSError."""
    if pool.tls is None:
        return None
    authorities, own = material.authorities.get(pool.name, b""), material.own_certificates.get(pool.name)
    return build_client_context(pool.tls, authorities, own)


def server_tls(pool: Pool, server: Server, context: ssl.SSLContext | None) -> ServerTls | None:
    """Return how one server of a pool is spoken with."""
    if pool.tls is None or context is None:
        return None
    return ServerTls(context, pool.tls.server_name or (None if server.is_unix else server.host))


def load_pair(context: ssl.SSLContext, certificate: CertificateMaterial) -> None:
    """Give a context a certificate and its key. Python takes them from files only: these are files in memory."""
    chain, key = _in_memory(certificate.chain), _in_memory(certificate.key)
    try:
        # A key with a passphrase is refused earlier; without an answer here, OpenSSL would ask the terminal.
        context.load_cert_chain(f"/proc/self/fd/{chain}", f"/proc/self/fd/{key}", password=lambda: b"")
    finally:
        os.close(chain)
        os.close(key)


def _in_memory(data: bytes) -> int:
    fd = os.memfd_create("lbapp-tls", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _be_strict(context: ssl.SSLContext) -> None:
    # Python has OpenSSL take a bare end of the connection for the end of what was sent: anybody on the way could cut it short.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF


def _grouped(certificates: Iterable[CertificateMaterial]) -> list[list[CertificateMaterial]]:
    """Put certificates for the same names side by side: of several types of key, the client's choice is served."""
    groups: dict[tuple[str, ...], list[CertificateMaterial]] = {}
    for each in certificates:
        group = groups.setdefault(tuple(sorted(each.names)), [])
        if all(each.key_type != other.key_type for other in group):
            group.append(each)
    return list(groups.values())


def _chooser(
    contexts: Sequence[tuple[tuple[str, ...], ssl.SSLContext]],
) -> Callable[[ssl.SSLObject | ssl.SSLSocket, str | None, ssl.SSLContext], None]:
    names = CertificateNames(contexts)
    default = contexts[0][1]

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        found = names.find(name) if name is not None else None
        if found is not None and found is not default:
            connection.context = found

    return choose
