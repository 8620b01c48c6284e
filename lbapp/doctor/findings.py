"""What is found of a machine, judged for one configuration: pure functions over what was read.

Responsible for what should be, why, and the command that makes it so. Knows nothing of how a machine is read.

Invariant: a finding that is not OK has a command or says what to do; what could not be read is never said to be OK.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from lbapp.model.descriptors import descriptors_for
from lbapp.model.limits import LISTEN_BACKLOG

_DAY_S: Final = 86_400.0
_EXPIRES_SOON_DAYS: Final = 14  # as the alert rules have it: whoever renews by itself has done so by then
_FREE_BYTES: Final = 1 << 30


class Verdict(str, Enum):
    """How bad it is."""

    OK = "OK"
    WARN = "WARN"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what is, what it should be, why, and the command that changes it (empty: nothing to do)."""

    check: str
    verdict: Verdict
    found: str
    wanted: str = ""
    why: str = ""
    command: str = ""


def descriptors(hard: int, connections_max: int, workers: int) -> Finding:
    """Judge the hard limit of open files by a worker's share of the clients."""
    needed = descriptors_for(-(-connections_max // workers))
    check, found = "open files", str(hard)
    if hard >= needed:
        return Finding(check, Verdict.OK, found)
    why = f"with fewer a worker serves less than its share of connections_max ({connections_max})"
    return Finding(
        check,
        Verdict.WARN,
        found,
        f"at least {needed}",
        why,
        f"ulimit -Hn {needed}, or LimitNOFILE={needed} in the unit",
    )


def somaxconn(value: int | None) -> Finding:
    """Judge how many clients may wait to be accepted; None: it could not be read."""
    check, wanted = "net.core.somaxconn", f"at least {LISTEN_BACKLOG}"
    why = "beyond it new clients are dropped in bursts before lbapp sees them"
    if value is not None and value >= LISTEN_BACKLOG:
        return Finding(check, Verdict.OK, str(value))
    found = "unknown" if value is None else str(value)
    return Finding(check, Verdict.WARN, found, wanted, why, f"sysctl -w {check}={LISTEN_BACKLOG}")


def local_ports(span: tuple[int, int] | None, connections_max: int, targets: int) -> Finding:
    """Judge the ports that connections to servers come from: each server address can be connected to from each once."""
    check = "net.ipv4.ip_local_port_range"
    if span is None:
        return Finding(check, Verdict.WARN, "unknown", why="it cannot be read", command=f"sysctl {check}")
    room = (span[1] - span[0] + 1) * max(1, targets)
    if room >= connections_max:
        return Finding(check, Verdict.OK, f"{span[0]} {span[1]}")
    why = f"connections_max is {connections_max}, and no more than {room} connections to all servers can be open"
    return Finding(check, Verdict.WARN, f"{span[0]} {span[1]}", "1024 65535", why, f'sysctl -w {check}="1024 65535"')


def port(address: str, error: str, *, is_ours: bool) -> Finding:
    """Judge whether an address can be listened on. `error`: what binding to it said; `is_ours`: an engine serves by this file."""
    check = f"listen on {address}"
    if not error:
        return Finding(check, Verdict.OK, "free")
    if is_ours:
        return Finding(check, Verdict.OK, "taken by the engine that serves by this file")
    number = address.rpartition(":")[2]
    commands = {
        "address already in use": f"ss -ltnp 'sport = :{number}' tells by whom",
        "permission denied": "as root, or: setcap, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit",
        "cannot assign requested address": "ip address add, or: sysctl -w net.ipv4.ip_nonlocal_bind=1 for a VIP",
    }
    command = commands.get(error, "choose another address")
    return Finding(check, Verdict.BAD, error, "free", "the engine cannot start without it", command)


def folder(check: str, path: str, problem: str) -> Finding:
    """Judge a folder that lbapp writes to. `problem`: what keeps it from that, or empty."""
    if not problem:
        return Finding(check, Verdict.OK, path)
    command = f"install -d -m 0700 {path}, owned by who runs lbapp"
    return Finding(
        check, Verdict.BAD, f"{path}: {problem}", "a folder that can be written to", "lbapp keeps files there", command
    )


def disk(path: str, free_bytes: int) -> Finding:
    """Judge the room where state is kept."""
    found = f"{free_bytes >> 20} MiB free"
    if free_bytes >= _FREE_BYTES:
        return Finding("disk", Verdict.OK, found)
    why = "a full disk keeps changes from being recorded, and they are refused then"
    return Finding("disk", Verdict.WARN, found, f"{_FREE_BYTES >> 20} MiB", why, f"make room at {path}")


def certificate(file: str, seconds_left: float) -> Finding:
    """Judge how long a certificate is good."""
    days = int(seconds_left // _DAY_S)
    check = f"certificate {file}"
    if seconds_left <= 0:
        return Finding(
            check, Verdict.BAD, "expired", "valid", "clients refuse it", "renew it; it is read again by itself"
        )
    if days < _EXPIRES_SOON_DAYS:
        wanted = f"{_EXPIRES_SOON_DAYS} days or more"
        return Finding(check, Verdict.WARN, f"{days} days left", wanted, "clients refuse it then", "renew it")
    return Finding(check, Verdict.OK, f"{days} days left")


def name(host: str, error: str) -> Finding:
    """Judge whether the name of a server is known. `error`: what the resolver said, or empty."""
    check = f"name {host}"
    if not error:
        return Finding(check, Verdict.OK, "resolves")
    why = "the server is DOWN until its name is known"
    return Finding(check, Verdict.BAD, error, "resolves", why, f"getent ahosts {host}")


def clock(is_synchronised: bool | None) -> Finding:
    """Judge the clock; None: it could not be read."""
    if is_synchronised:
        return Finding("clock", Verdict.OK, "synchronised")
    found = "unknown" if is_synchronised is None else "not synchronised"
    why = "certificates, cookies and the nodes of a fleet go by it"
    return Finding("clock", Verdict.WARN, found, "synchronised", why, "timedatectl set-ntp true")


def engine(running: str | None, file: str, other: str) -> Finding:
    """Judge whether an engine serves by the file. `running`: the file it names, None: none answers; `other`: its words."""
    if running is None:
        return Finding("engine", Verdict.OK, "none runs", command=f"lbapp run -c {file}")
    if running != file:
        return Finding("engine", Verdict.OK, f"one runs by {running}")
    if not other:
        return Finding("engine", Verdict.OK, "runs by this file as it is")
    return Finding(
        "engine",
        Verdict.WARN,
        other,
        "what the file says",
        "not all is in force",
        "lbapp reload --dry-run, then lbapp reload",
    )
