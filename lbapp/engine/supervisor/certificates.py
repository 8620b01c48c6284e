"""Certificates, keys and authorities of this node: read, watched, replaced without a reload, and said when they run out.

Responsible for what TLS needs of files: it is read and found sound before any worker starts, looked at again and again, and
handed to the workers as bytes when it has changed for the better. Knows nothing of handshakes or of how a worker serves it.

Invariants: what cannot serve never replaces what does; files are judged only when they have stood still between two looks, as a
certificate and its key are written one after the other; each change of mind is one event; the names of events show no key.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from lbapp.config.certificates import Certificate, read_authorities, read_certificate
from lbapp.control.messages import CertificateStatus
from lbapp.engine.channel import TlsChanged
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.running import Tell
from lbapp.engine.tls_contexts import ServerTls, build_listener_context, build_pool_context, server_tls
from lbapp.model.entities import Configuration, Pool, Server
from lbapp.model.errors import StartError
from lbapp.model.limits import CERTIFICATE_DAYS_SAID, CERTIFICATE_LOOK_INTERVAL_S
from lbapp.model.tls import CertificateFiles, TlsMaterial

_DAY_S: Final = 86_400

Signature = tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class Source:
    """Files that are watched as one. `certificate` or `authorities` is what they held when they were last sound."""

    owner: str  # "listener web", "pool app"
    files: CertificateFiles | None
    authorities_file: str
    certificate: Certificate | None = None
    authorities: bytes = b""
    seen: Signature = ()
    judged: Signature = ()
    days_said: int | None = None

    @property
    def path(self) -> str:
        """What events call it."""
        return self.files.file if self.files is not None else self.authorities_file

    def read(self) -> Certificate | bytes:
        """Return what the files hold now. Raises ValueError with a sentence."""
        return read_certificate(self.files) if self.files is not None else read_authorities(self.authorities_file)

    def take(self, found: Certificate | bytes) -> bool:
        """Take over what was read; return whether it is anything new."""
        if isinstance(found, bytes):
            is_new, self.authorities = found != self.authorities, found
            return is_new
        before, self.certificate = self.certificate, found
        return before is None or before.material != found.material

    def signature(self) -> Signature:
        """Return what tells one state of the files from another."""
        paths = (self.files.file, self.files.key) if self.files is not None else (self.authorities_file,)
        return tuple(_signature(Path(path)) for path in paths)


def _signature(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


@dataclass
class Certificates:
    """All of this node. `material` is replaced, never changed, when something new serves."""

    configuration: Configuration
    events: Events
    now: Callable[[], float] = time.time
    material: TlsMaterial = field(init=False)
    _sources: dict[tuple[str, str, int], Source] = field(init=False)
    _to_servers: dict[str, ssl.SSLContext | None] = field(init=False)

    def __post_init__(self) -> None:
        """Read everything. Raises StartError."""
        self._sources = dict(_sources(self.configuration))
        for source in self._sources.values():
            source.seen = source.judged = source.signature()
            try:
                source.take(source.read())
            except ValueError as error:
                raise StartError(f"{source.owner}: {error}") from error
        try:
            self._use(self._composed())
        except (ssl.SSLError, OSError) as error:
            raise StartError(f"TLS: {_reason(error)}", "lbapp check FILE names what is wrong where it can") from error

    def take_over(self, former: Certificates) -> None:
        """Know what was said in the generation before of certificates that run out."""
        for key in self._sources.keys() & former._sources.keys():
            source, before = self._sources[key], former._sources[key]
            if (source.path, source.certificate) == (before.path, before.certificate):
                source.days_said = before.days_said

    # -- what others ask ---------------------------------------------------------------------------------------------

    def to_server(self, pool: Pool, server: Server) -> ServerTls | None:
        """Return how a probe speaks with a server; None: in plain text."""
        return server_tls(pool, server, self._to_servers.get(pool.name))

    def of_listener(self, name: str) -> list[CertificateStatus]:
        """Return the certificates of a listener as the control API shows them."""
        found = [source for (kind, owner, _), source in self._sources.items() if (kind, owner) == ("listener", name)]
        return [status for source in found if (status := self._status(source)) is not None]

    def _status(self, source: Source) -> CertificateStatus | None:
        certificate = source.certificate
        if certificate is None:
            return None
        return {
            "file": source.path,
            "names": list(certificate.material.names),
            "issuer": certificate.issuer,
            "key_type": certificate.material.key_type,
            "fingerprint_sha256": certificate.fingerprint,
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
            "days_left": self._days_left(certificate),
        }

    def _days_left(self, certificate: Certificate) -> float:
        return round((certificate.not_after - self.now()) / _DAY_S, 2)

    # -- looking after them ------------------------------------------------------------------------------------------

    async def run(self, tell: Tell) -> None:
        """Look again and again, and tell the workers when something new serves, until cancelled."""
        self.say_what_is_not_verified()
        if not self._sources:
            return
        while True:
            self.say_what_runs_out()
            await anyio.sleep(CERTIFICATE_LOOK_INTERVAL_S)
            settled = await anyio.to_thread.run_sync(self._settled)
            if settled and await self._judge(settled):
                tell(TlsChanged(self.material))

    def say_what_is_not_verified(self) -> None:
        """Warn of pools whose servers could be anybody."""
        for pool in self.configuration.pools:
            if pool.tls is not None and not pool.tls.verify:
                message = f"pool {pool.name}: verify = false: whoever answers at its servers' addresses is believed"
                self.events.add("servers_not_verified", f"pool {pool.name}", message)

    def say_what_runs_out(self) -> None:
        """Make an event of each certificate that has come to another of the days that are said."""
        for source in self._sources.values():
            certificate = source.certificate
            if certificate is None:
                continue
            step = step_of(certificate, self.now())
            if step is not None and (source.days_said is None or step < source.days_said):
                source.days_said = step
                self._say_days(source, certificate, step)

    def _say_days(self, source: Source, certificate: Certificate, step: int) -> None:
        ends = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(certificate.not_after))
        if not step:
            message = f"{source.owner}: the certificate {source.path} has expired: it ended {ends}"
            self.events.add("certificate_expired", source.owner, message)
            return
        left = self._days_left(certificate)
        message = f"{source.owner}: the certificate {source.path} has {left:.1f} days left: it ends {ends}"
        self.events.add("certificate_expires_soon", source.owner, message, change=(None, step))

    def _settled(self) -> list[Source]:
        """Return what has changed and then stood still. Run in a thread: a folder may be on another machine."""
        settled = []
        for source in self._sources.values():
            seen, source.seen = source.seen, source.signature()
            if source.seen != source.judged and source.seen == seen:
                settled.append(source)
        return settled

    async def _judge(self, settled: list[Source]) -> bool:
        """Take over what is sound of the files that changed; return whether anything new is to be served."""
        is_new = False
        for source in settled:
            before = replace(source)
            source.judged = source.seen
            try:
                found = await anyio.to_thread.run_sync(source.read)
                if not source.take(found):
                    continue  # written again as it was
                self._use(self._composed())
            except (ValueError, OSError) as error:  # ssl.SSLError among them
                source.certificate, source.authorities = before.certificate, before.authorities
                message = f"{source.owner}: {_reason(error)}; what was there before goes on serving"
                self.events.add("certificate_refused", source.owner, message)
                continue
            is_new = True
            source.days_said = None
            self.events.add(
                "certificate_replaced", source.owner, f"{source.owner}: {source.path} was replaced: {_what(source)}"
            )
        return is_new

    def _use(self, material: TlsMaterial) -> None:
        """Take over material that all contexts can be built from. Raises ssl.SSLError, OSError, and then changes nothing."""
        for listener in self.configuration.listeners:
            if listener.tls is not None:
                build_listener_context(listener, material)
        to_servers = {pool.name: build_pool_context(pool, material) for pool in self.configuration.pools}
        self.material, self._to_servers = material, to_servers

    def _composed(self) -> TlsMaterial:
        material = TlsMaterial({}, {}, {}, {})
        for (kind, owner, _), source in self._sources.items():
            if source.certificate is None:
                (material.client_authorities if kind == "listener" else material.authorities)[owner] = (
                    source.authorities
                )
            elif kind == "listener":
                certificates = material.certificates
                certificates[owner] = (*certificates.get(owner, ()), source.certificate.material)
            else:
                material.own_certificates[owner] = source.certificate.material
        return material


def step_of(certificate: Certificate, now: float) -> int | None:
    """Return the fewest of the days that are said and not yet over; 0: expired; None: there is time.

    A certificate that is meant to live for days is not said to run out from its first one on.
    """
    left_s = certificate.not_after - now
    if left_s <= 0:
        return 0
    life_days = (certificate.not_after - certificate.not_before) / _DAY_S
    steps = [days for days in CERTIFICATE_DAYS_SAID if left_s <= days * _DAY_S and days * 2 <= life_days]
    return min(steps, default=None)


def _sources(configuration: Configuration) -> Iterator[tuple[tuple[str, str, int], Source]]:
    for listener in configuration.listeners:
        if listener.tls is None:
            continue
        owner = f"listener {listener.name}"
        for at, files in enumerate(listener.tls.certificates):
            yield ("listener", listener.name, at), Source(owner, files, "")
        if listener.tls.client_ca_file is not None:
            yield ("listener", listener.name, -1), Source(owner, None, listener.tls.client_ca_file)
    for pool in configuration.pools:
        if pool.tls is None:
            continue
        owner = f"pool {pool.name}"
        if pool.tls.certificate is not None:
            yield ("pool", pool.name, 0), Source(owner, pool.tls.certificate, "")
        if pool.tls.ca_file is not None:
            yield ("pool", pool.name, -1), Source(owner, None, pool.tls.ca_file)


def _what(source: Source) -> str:
    certificate = source.certificate
    if certificate is None:
        return "other authorities"
    names = ", ".join(certificate.material.names[:3]) or "no names"
    more = f" and {len(certificate.material.names) - 3} more" if len(certificate.material.names) > 3 else ""
    return f"{names}{more}, until {time.strftime('%Y-%m-%d', time.gmtime(certificate.not_after))}"


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error)
