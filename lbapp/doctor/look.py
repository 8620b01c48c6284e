"""What a machine is like, as far as a configuration needs to know.

Responsible for reading: limits, /proc, ports, folders, certificates, names, the clock, an engine. Knows nothing of what any of it
should be. Invariant: nothing is changed; a port that is tried is let go again, and no folder is made.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import resource
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import dns.exception
import dns.nameserver
import dns.resolver

from lbapp.config.certificates import read_certificate
from lbapp.control.client import ControlClient
from lbapp.control.paths import default_state_dir
from lbapp.doctor import findings
from lbapp.doctor.findings import Finding
from lbapp.model.entities import Bind, Configuration
from lbapp.model.errors import LbappError
from lbapp.model.limits import RESOLVE_TIMEOUT_S

_TIME_ERROR: Final = 5  # of adjtimex(2): the clock is not synchronised
_TIMEX_BYTES: Final = 512  # more than the structure has


class Running(NamedTuple):
    """An engine that answers: the file it serves by, why that is not what serves (empty: it is), and where it listens."""

    file: str
    why_other: str
    binds: frozenset[str]


def examine(configuration: Configuration, file: Path, control: Path) -> Iterator[Finding]:
    """Yield what is found, of a configuration that is valid."""
    limits, workers = configuration.limits, configuration.engine.workers
    running = running_engine(control)
    is_ours = running is not None and Path(running.file).resolve() == file.resolve()
    serves_by = str(file) if is_ours else None if running is None else running.file
    yield findings.engine(serves_by, str(file), "" if running is None else running.why_other)
    own = running.binds if running is not None and is_ours else frozenset()
    yield findings.descriptors(hard_limit(), limits.connections_max, workers)
    yield findings.somaxconn(_number(Path("/proc/sys/net/core/somaxconn")))
    hosts = {(server.host, server.port) for server in configuration.servers if server.port}
    yield findings.local_ports(
        _span(Path("/proc/sys/net/ipv4/ip_local_port_range")), limits.connections_max, len(hosts)
    )
    for bind in (bind for listener in configuration.listeners for bind in listener.binds):
        if not bind.path and bind.port:
            yield findings.port(str(bind), trial(bind), is_ours=str(bind) in own)
    state = Path(configuration.engine.state_dir or default_state_dir())
    yield findings.folder("state_dir", str(state), unwritable(state))
    yield findings.folder("control socket", str(control.parent), unwritable(control.parent))
    yield findings.disk(str(state), shutil.disk_usage(_nearest(state)).free)
    for listener in configuration.listeners:
        for pair in listener.tls.certificates if listener.tls is not None else ():
            yield findings.certificate(pair.file, read_certificate(pair).not_after - time.time())
    for host in sorted({host for host, _ in hosts}):
        if not _is_address(host):
            yield findings.name(host, unresolved(host, configuration.engine.nameservers))
    yield findings.clock(is_synchronised())


def hard_limit() -> int:
    """Return how many files a process may open at the most: the engine raises its own limit to this."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard if hard != resource.RLIM_INFINITY else 1 << 62


def trial(bind: Bind) -> str:
    """Return what keeps an address from being listened on, in lower case; empty: nothing."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        try:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tried.bind((bind.host, bind.port))
            tried.listen(1)
        except socket.gaierror as error:
            return error.strerror.lower() if error.strerror else str(error)
        except OSError as error:
            return os.strerror(error.errno or 0).lower()
    return ""


def unwritable(path: Path) -> str:
    """Return what keeps this user from writing in a folder, or from making it; empty: nothing."""
    if path.exists() and not path.is_dir():
        return "no folder"
    if os.access(_nearest(path), os.W_OK | os.X_OK):
        return ""
    return "may not be written to" if path.is_dir() else "is not there and may not be made"


def unresolved(host: str, nameservers: Sequence[tuple[str, int]] = ()) -> str:
    """Return why a name has no address; empty: it has one. `nameservers`: who is asked in place of the system."""
    try:
        if nameservers:
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in nameservers]
            resolver.resolve_name(host, lifetime=RESOLVE_TIMEOUT_S)
        else:
            socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, dns.exception.DNSException, UnicodeError) as error:
        return str(error.strerror if isinstance(error, OSError) else error).lower()
    return ""


def is_synchronised() -> bool | None:
    """Say whether the kernel takes its clock for synchronised (adjtimex(2)); None: it does not tell."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else bool(state != _TIME_ERROR)


def running_engine(control: Path) -> Running | None:
    """Return what an engine says of itself; None: none answers."""
    try:
        with ControlClient(control) as client:
            status = client.status()
    except LbappError:
        return None
    engine, listeners = status["engine"], status["listeners"]
    binds = frozenset(bind for each in listeners for bind in each["bind"])
    return Running(engine["configuration_path"], engine.get("file_is_other", ""), binds)


def _nearest(path: Path) -> Path:
    return next(each for each in (path, *path.parents, Path("/")) if each.is_dir())


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _span(path: Path) -> tuple[int, int] | None:
    try:
        low, high = path.read_text().split()
        return int(low), int(high)
    except (OSError, ValueError):
        return None
