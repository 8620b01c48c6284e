"""What a machine is like, as far as a configuration needs to know.

Responsible for reading: versions, limits, /proc, ports, folders, certificates, the clock, an engine. Who is asked over the
network is in reach.py, what systemd gives an engine in unit.py, what its user may do with a path in eyes.py. Knows nothing of
what any of it should be. Invariant: nothing is changed; a port that is tried is let go again, and no folder is made.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import platform
import resource
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509

from lbapp.config.certificates import read_certificate
from lbapp.control.client import ControlClient
from lbapp.control.paths import default_state_dir
from lbapp.doctor import findings
from lbapp.doctor.eyes import Eyes, nearest
from lbapp.doctor.findings import Finding
from lbapp.doctor.reach import ask_servers, ask_store, unresolved
from lbapp.doctor.unit import Unit
from lbapp.model.access_log import AccessLog, LogTarget
from lbapp.model.entities import Bind, Configuration
from lbapp.model.errors import LbappError

_TIME_ERROR: Final = 5  # of adjtimex(2): the clock is not synchronised
_TIMEX_BYTES: Final = 512  # more than the structure has
_PROC: Final = Path("/proc")
_LOWEST_PORT: Final = 1024  # that anybody may listen on, where the kernel does not say
_INFINITE: Final = 1 << 62


class Running(NamedTuple):
    """An engine that answers: the file it serves by, why that is not what serves (empty: it is), and where it listens."""

    file: str
    why_other: str
    binds: frozenset[str]
    pid: int


def examine(
    configuration: Configuration, file: Path, control: Path, *, unit: Unit | None = None, with_servers: bool = False
) -> Iterator[Finding]:
    """Yield what is found, of a configuration that is valid.

    `unit`: the one whose engine is to serve by the file, None: who looks will run it; `with_servers`: its servers are connected
    to as well.
    """
    running = running_engine(control)
    is_ours = running is not None and Path(running.file).resolve() == file.resolve()
    serves_by = str(file) if is_ours else None if running is None else running.file
    yield findings.versions(*versions())
    yield findings.engine(serves_by, str(file), "" if running is None else running.why_other, has_unit=unit is not None)
    eyes = Eyes(unit)
    if unit is not None:
        yield findings.user(eyes.user, unit.user, str(file))
    yield from _kernel(configuration, running, unit)
    own = running.binds if running is not None and is_ours else frozenset()
    for bind in (bind for listener in configuration.listeners for bind in listener.binds):
        if bind.path:
            folder = Path(bind.path).parent
            yield findings.folder(f"listen on {bind}", str(folder), eyes.unwritable(folder))
        elif bind.port:
            may_unit = unit is not None and unit.has_low_ports
            error = trial(bind) or _denied(bind, unit)
            yield findings.port(str(bind), error, is_ours=str(bind) in own, may_unit=may_unit)
    of_unit = None if unit is None else unit.state_dir
    state = Path(configuration.engine.state_dir or of_unit or default_state_dir())
    yield from _folders(state, control, configuration.access_log, eyes)
    yield from _files(configuration, file, eyes)
    yield findings.clock(is_synchronised())
    yield from _others(configuration, with_servers=with_servers)


def _kernel(configuration: Configuration, running: Running | None, unit: Unit | None) -> Iterator[Finding]:
    limits, workers = configuration.limits, configuration.engine.workers
    own = None if unit is not None else hard_limit()  # that of a shell is none of the unit's
    limit_of_unit = None if unit is None else unit.files_max
    limit_of_engine = None if running is None else limit_of(running.pid)
    for of, hard in (("", own), ("the unit", limit_of_unit), ("the engine", limit_of_engine)):
        if hard is not None:
            yield findings.descriptors(hard, limits.connections_max, workers, of=of)
    net = _PROC / "sys/net"
    yield findings.somaxconn(_number(net / "core/somaxconn"))
    yield findings.syn_backlog(_number(net / "ipv4/tcp_max_syn_backlog"))
    targets = {(server.host, server.port) for server in configuration.servers if server.port}
    yield findings.local_ports(_span(net / "ipv4/ip_local_port_range"), limits.connections_max, len(targets))
    conntrack = net / "netfilter"
    if conntrack.joinpath("nf_conntrack_max").exists():
        table = _number(conntrack / "nf_conntrack_max"), _number(conntrack / "nf_conntrack_count")
        yield findings.conntrack(*table, limits.connections_max)


def _folders(state: Path, control: Path, log: AccessLog, eyes: Eyes) -> Iterator[Finding]:
    yield findings.folder("state_dir", str(state), eyes.unwritable(state))
    yield findings.folder("control socket", str(control.parent), eyes.unwritable(control.parent))
    yield findings.disk(str(state), shutil.disk_usage(nearest(state)).free)
    if log.target is LogTarget.FILE:
        folder = Path(log.path).parent
        yield findings.folder(
            "access log", str(folder), eyes.unwritable(folder) or eyes.unwritable_file(Path(log.path))
        )
        yield findings.disk(str(folder), shutil.disk_usage(nearest(folder)).free, of="access log")
    elif log.target is LogTarget.SYSLOG:
        yield findings.syslog(log.path, is_there=Path(log.path).is_socket())


def _files(configuration: Configuration, file: Path, eyes: Eyes) -> Iterator[Finding]:
    """Yield what is found of the files that are read: whether they can be, and how long certificates are good."""
    yield findings.readable(str(file), eyes.unreadable(file), eyes.user)
    listeners = [listener.tls for listener in configuration.listeners if listener.tls is not None]
    pools = [pool.tls for pool in configuration.pools if pool.tls is not None]
    pairs = [pair for tls in listeners for pair in tls.certificates]
    pairs += [tls.certificate for tls in pools if tls.certificate is not None]
    cluster = configuration.cluster
    authorities = [tls.client_ca_file for tls in listeners] + [tls.ca_file for tls in pools]
    others = [None if pool.persistence is None else pool.persistence.keys_file for pool in configuration.pools]
    others += [] if cluster is None else [cluster.ca_file, cluster.password_file]
    named = dict.fromkeys([*(path for pair in pairs for path in (pair.file, pair.key)), *authorities, *others])
    for path in named:
        if path is not None and (why_not := eyes.unreadable(Path(path))):
            yield findings.readable(path, why_not, eyes.user)
    for pair in dict.fromkeys(pairs):
        yield findings.certificate(pair.file, read_certificate(pair).not_after - time.time())
    for path in dict.fromkeys(authorities):
        if path is not None:
            yield findings.certificate(path, _authorities_end(path) - time.time(), of="authority")


def _authorities_end(path: str) -> float:
    """Return when the last of the authorities in a file ends, in Unix seconds."""
    found = x509.load_pem_x509_certificates(Path(path).read_bytes())
    return max(each.not_valid_after_utc.timestamp() for each in found)


def _others(configuration: Configuration, *, with_servers: bool) -> Iterator[Finding]:
    """Yield what is found of those who are asked over the network."""
    nameservers = configuration.engine.nameservers
    hosts = {server.host for server in configuration.servers if server.port}
    for host in sorted(hosts):
        if not _is_address(host):
            yield findings.name(host, unresolved(host, nameservers))
    cluster = configuration.cluster
    if cluster is not None:
        answers = {endpoint: ask_store(endpoint, cluster.ca_file) for endpoint in cluster.endpoints}
        answering = sum(not answer.why_not for answer in answers.values())
        for endpoint, answer in answers.items():
            yield findings.store(endpoint, answer.why_not, answer.after_s, cluster.lease_s, others=answering)
    if with_servers:
        for server, answer in ask_servers(configuration.servers, nameservers, configuration.limits.connect_timeout_s):
            yield findings.server(server.id, server.address, answer.why_not, answer.after_s)


def versions() -> tuple[str, str, str]:
    """Return those of Python, OpenSSL and the kernel."""
    return platform.python_version(), ssl.OPENSSL_VERSION.split()[1], os.uname().release


def limit_of(pid: int) -> int | None:
    """Return how many files a process may have open at the most; None: it cannot be read."""
    try:
        lines = (_PROC / str(pid) / "limits").read_text().splitlines()
    except OSError:
        return None
    words = next((line.split() for line in lines if line.startswith("Max open files")), [])
    return _amount(words[4]) if len(words) > 4 else None


def hard_limit() -> int:
    """Return how many files a process may open at the most: the engine raises its own limit to this."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard if hard != resource.RLIM_INFINITY else _INFINITE


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


def _denied(bind: Bind, unit: Unit | None) -> str:
    """Return what keeps the unit from listening where this process, as root, may; empty: nothing."""
    lowest = _number(_PROC / "sys/net/ipv4/ip_unprivileged_port_start")
    is_low = bind.port < (_LOWEST_PORT if lowest is None else lowest)
    return "permission denied" if unit is not None and is_low and not unit.has_low_ports else ""


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
    return Running(engine["configuration_path"], engine.get("file_is_other", ""), binds, engine["pid"])


def _amount(text: str) -> int | None:
    return _INFINITE if text in ("infinity", "unlimited") else int(text) if text.isdigit() else None


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
