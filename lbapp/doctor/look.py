"""What a machine is like, as far as a configuration needs to know.

Responsible for reading: versions, limits, /proc, units, ports, folders, certificates, the clock, an engine. Who is asked over the
network is in reach.py. Knows nothing of what any of it should be. Invariant: nothing is changed; a port that is tried is let go
again, and no folder is made.
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from lbapp.config.certificates import read_certificate
from lbapp.control.client import ControlClient
from lbapp.control.paths import default_state_dir
from lbapp.doctor import findings
from lbapp.doctor.findings import Finding
from lbapp.doctor.reach import ask_servers, ask_store, unresolved
from lbapp.model.access_log import LogTarget
from lbapp.model.entities import Bind, Configuration
from lbapp.model.errors import LbappError

_TIME_ERROR: Final = 5  # of adjtimex(2): the clock is not synchronised
_TIMEX_BYTES: Final = 512  # more than the structure has
_PROC: Final = Path("/proc")
_UNIT: Final = "lbapp.service"
# Those that come first have the last word (systemd.unit(5)); a drop-in stands above every unit file.
_UNIT_FOLDERS: Final = tuple(
    map(Path, ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system"))
)
_SYSTEMD_FILES: Final = 524288  # DefaultLimitNOFILE of systemd, the hard one
_INFINITE: Final = 1 << 62


class Running(NamedTuple):
    """An engine that answers: the file it serves by, why that is not what serves (empty: it is), and where it listens."""

    file: str
    why_other: str
    binds: frozenset[str]
    pid: int


def examine(
    configuration: Configuration, file: Path, control: Path, *, with_servers: bool = False
) -> Iterator[Finding]:
    """Yield what is found, of a configuration that is valid. `with_servers`: its servers are connected to as well."""
    running = running_engine(control)
    is_ours = running is not None and Path(running.file).resolve() == file.resolve()
    serves_by = str(file) if is_ours else None if running is None else running.file
    yield findings.versions(*versions())
    yield findings.engine(serves_by, str(file), "" if running is None else running.why_other)
    yield from _kernel(configuration, running)
    own = running.binds if running is not None and is_ours else frozenset()
    for bind in (bind for listener in configuration.listeners for bind in listener.binds):
        if not bind.path and bind.port:
            yield findings.port(str(bind), trial(bind), is_ours=str(bind) in own)
    yield from _files(configuration, control)
    for listener in configuration.listeners:
        for pair in listener.tls.certificates if listener.tls is not None else ():
            yield findings.certificate(pair.file, read_certificate(pair).not_after - time.time())
    yield findings.clock(is_synchronised())
    yield from _others(configuration, with_servers=with_servers)


def _kernel(configuration: Configuration, running: Running | None) -> Iterator[Finding]:
    limits, workers = configuration.limits, configuration.engine.workers
    yield findings.descriptors(hard_limit(), limits.connections_max, workers)
    for of, hard in (("the unit", unit_limit()), ("the engine", None if running is None else limit_of(running.pid))):
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


def _files(configuration: Configuration, control: Path) -> Iterator[Finding]:
    state = Path(configuration.engine.state_dir or default_state_dir())
    yield findings.folder("state_dir", str(state), unwritable(state))
    yield findings.folder("control socket", str(control.parent), unwritable(control.parent))
    yield findings.disk(str(state), shutil.disk_usage(_nearest(state)).free)
    log = configuration.access_log
    if log.target is LogTarget.FILE:
        folder = Path(log.path).parent
        yield findings.folder("access log", str(folder), unwritable(folder) or _closed(Path(log.path)))
        yield findings.disk(str(folder), shutil.disk_usage(_nearest(folder)).free, of="access log")
    elif log.target is LogTarget.SYSLOG:
        yield findings.syslog(log.path, is_there=Path(log.path).is_socket())


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


def unit_limit(folders: Sequence[Path] = _UNIT_FOLDERS) -> int | None:
    """Return how many files systemd lets the engine open, by its unit and what is dropped in; None: there is no unit."""
    unit = next((folder / _UNIT for folder in folders if (folder / _UNIT).is_file()), None)
    if unit is None:
        return None
    dropped = {path.name: path for folder in reversed(folders) for path in (folder / f"{_UNIT}.d").glob("*.conf")}
    found = _SYSTEMD_FILES
    for path in (unit, *(dropped[name] for name in sorted(dropped))):
        for line in path.read_text(errors="replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "LimitNOFILE":
                found = _amount(value.strip().rpartition(":")[2]) or _SYSTEMD_FILES
    return found


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


def unwritable(path: Path) -> str:
    """Return what keeps this user from writing in a folder, or from making it; empty: nothing."""
    if path.exists() and not path.is_dir():
        return "no folder"
    if os.access(_nearest(path), os.W_OK | os.X_OK):
        return ""
    return "may not be written to" if path.is_dir() else "is not there and may not be made"


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


def _closed(path: Path) -> str:
    return "" if not path.exists() or os.access(path, os.W_OK) else f"{path.name} may not be written to"


def _amount(text: str) -> int | None:
    return _INFINITE if text in ("infinity", "unlimited") else int(text) if text.isdigit() else None


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
