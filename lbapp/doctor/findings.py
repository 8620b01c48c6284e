"""What is found of a machine, judged for one configuration: pure functions over what was read.

Responsible for what should be, why, and the command that makes it so. Knows nothing of how a machine is read.

Invariant: a finding that is not OK has a command or says what to do; what could not be read is never said to be OK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from lbapp.model.descriptors import descriptors_for
from lbapp.model.limits import LISTEN_BACKLOG

_DAY_S: Final = 86_400.0
_EXPIRES_SOON_DAYS: Final = 14  # as the alert rules have it: whoever renews by itself has done so by then
_FREE_BYTES: Final = 1 << 30
_FULL: Final = 0.8  # of a table that should have room
_OF_LEASE: Final = 0.1  # for one answer of the store: there is time for some more, and for another address
_OPENSSL_MIN: Final = (3,)
_SYN_BACKLOG_MIN: Final = 1024
_DROP_IN: Final = "systemctl edit lbapp"


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


def versions(python: str, openssl: str, kernel: str) -> Finding:
    """Judge what lbapp runs on."""
    found = f"Python {python}, OpenSSL {openssl}, kernel {kernel}"
    if tuple(map(int, re.findall(r"[0-9]+", openssl)[:1])) >= _OPENSSL_MIN:
        return Finding("versions", Verdict.OK, found)
    why = "older ones get no corrections any more, and TLS is as safe as what speaks it"
    return Finding("versions", Verdict.WARN, found, "OpenSSL 3 or newer", why, "a Python that is built with it")


def user(looking: str, runs_as: str, file: str) -> Finding:
    """Judge whether what is looked at is looked at as the user that the unit runs as."""
    if looking == runs_as:
        return Finding("user", Verdict.OK, f"{runs_as}, as in the unit")
    why = "what that user may do with files, folders and ports is what counts"
    return Finding("user", Verdict.WARN, looking, f"{runs_as}, as in the unit", why, f"sudo lbapp doctor {file}")


def readable(path: str, why_not: str, user: str) -> Finding:
    """Judge whether the engine can read a file. `why_not`: what keeps it from that, or empty; `user`: who runs it."""
    check = f"file {path}"
    if not why_not:
        return Finding(check, Verdict.OK, f"{user} may read it")
    commands = f"chgrp {user} {path} && chmod 640 {path}, and let {user} into the folders above"
    if "the unit" in why_not:
        commands = f"keep it elsewhere, such as in /etc/lbapp; {_DROP_IN}: docs/install.md"
    return Finding(check, Verdict.BAD, why_not, "readable", "the engine cannot start without it", commands)


def descriptors(hard: int, connections_max: int, workers: int, of: str = "") -> Finding:
    """Judge the hard limit of open files by a worker's share of the clients. `of`: whose limit it is; empty: this process's."""
    needed = descriptors_for(-(-connections_max // workers))
    check, found = f"open files of {of}" if of else "open files", str(hard)
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
    return Finding(check, Verdict.WARN, found, wanted, why, _setting(check, str(LISTEN_BACKLOG)))


def syn_backlog(value: int | None) -> Finding:
    """Judge how many clients may be half connected; None: it could not be read."""
    check, wanted = "net.ipv4.tcp_max_syn_backlog", f"at least {_SYN_BACKLOG_MIN}"
    if value is not None and value >= _SYN_BACKLOG_MIN:
        return Finding(check, Verdict.OK, str(value))
    why = "beyond it bursts of new clients are dropped, or get by with SYN cookies and without TCP options"
    found = "unknown" if value is None else str(value)
    return Finding(check, Verdict.WARN, found, wanted, why, _setting(check, str(LISTEN_BACKLOG)))


def conntrack(most: int | None, count: int | None, connections_max: int) -> Finding:
    """Judge the kernel's table of connections, which is there where a firewall looks at states. Each client needs two entries."""
    check, needed = "net.netfilter.nf_conntrack_max", 2 * connections_max
    command = f"{_setting(check, str(needed))}; or leave these ports out of it: nft, notrack"
    why = f"connections_max is {connections_max}, each with one to a server; when the table is full packets are dropped"
    if most is None or count is None:
        return Finding(check, Verdict.WARN, "unknown", f"at least {needed}", "it cannot be read", f"sysctl {check}")
    found = f"{most}, of which {count} are used"
    if most < needed:
        return Finding(check, Verdict.WARN, found, f"at least {needed}", why, command)
    if count > most * _FULL:
        return Finding(check, Verdict.WARN, found, f"fewer than {_FULL:.0%} of it used", why, command)
    return Finding(check, Verdict.OK, found)


def local_ports(span: tuple[int, int] | None, connections_max: int, targets: int) -> Finding:
    """Judge the ports that connections to servers come from: each server address can be connected to from each once."""
    check = "net.ipv4.ip_local_port_range"
    if span is None:
        return Finding(check, Verdict.WARN, "unknown", why="it cannot be read", command=f"sysctl {check}")
    room = (span[1] - span[0] + 1) * max(1, targets)
    if room >= connections_max:
        return Finding(check, Verdict.OK, f"{span[0]} {span[1]}")
    why = f"connections_max is {connections_max}, and no more than {room} connections to all servers can be open"
    return Finding(check, Verdict.WARN, f"{span[0]} {span[1]}", "1024 65535", why, _setting(check, "1024 65535"))


def port(address: str, error: str, *, is_ours: bool, may_unit: bool = False) -> Finding:
    """Judge whether an address can be listened on. `error`: what binding to it said; `is_ours`: an engine serves by this file.

    `may_unit`: an engine of the unit may do what this process may not.
    """
    check = f"listen on {address}"
    if not error:
        return Finding(check, Verdict.OK, "free")
    if is_ours:
        return Finding(check, Verdict.OK, "taken by the engine that serves by this file")
    number = address.rpartition(":")[2]
    if error == "permission denied" and may_unit:
        why = "the unit may listen there, but this user cannot see whether somebody else does"
        return Finding(check, Verdict.WARN, error, "free", why, f"ss -ltn 'sport = :{number}', or: sudo lbapp doctor")
    commands = {
        "address already in use": f"ss -ltnp 'sport = :{number}' tells by whom",
        "permission denied": "as root, or: setcap, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit",
        "cannot assign requested address": f"ip address add; or, for a VIP: {_setting('net.ipv4.ip_nonlocal_bind', '1')}",
    }
    command = commands.get(error, "choose another address")
    return Finding(check, Verdict.BAD, error, "free", "the engine cannot start without it", command)


def folder(check: str, path: str, problem: str) -> Finding:
    """Judge a folder that lbapp writes to. `problem`: what keeps it from that, or empty."""
    if not problem:
        return Finding(check, Verdict.OK, path)
    command = f"install -d -m 0700 {path}, owned by who runs lbapp"
    if "the unit" in problem:
        command = f"{_DROP_IN}: ReadWritePaths={path}; or a folder below /run/lbapp, /var/lib/lbapp or /var/log/lbapp"
    return Finding(
        check, Verdict.BAD, f"{path}: {problem}", "a folder that can be written to", "lbapp keeps files there", command
    )


def disk(path: str, free_bytes: int, of: str = "") -> Finding:
    """Judge the room where state is kept, or what else `of` names."""
    check, found = f"disk of {of}" if of else "disk", f"{free_bytes >> 20} MiB free"
    if free_bytes >= _FREE_BYTES:
        return Finding(check, Verdict.OK, found)
    why = "a full disk keeps changes from being recorded, and they are refused then"
    if of:
        why = "on a full disk lines are lost"
    return Finding(check, Verdict.WARN, found, f"{_FREE_BYTES >> 20} MiB", why, f"make room at {path}")


def syslog(path: str, *, is_there: bool) -> Finding:
    """Judge the socket that requests are logged to."""
    if is_there:
        return Finding("access log", Verdict.OK, path)
    why = "lines are dropped until somebody listens there"
    return Finding(
        "access log",
        Verdict.WARN,
        f"{path}: no socket",
        "a socket of syslog",
        why,
        "systemctl status systemd-journald rsyslog",
    )


def store(endpoint: str, why_not: str, after_s: float, lease_s: float, *, others: int) -> Finding:
    """Judge one address of the fleet's store. `others`: how many of its addresses answer as they should."""
    check = f"store {endpoint}"
    if why_not:
        verdict = Verdict.WARN if others else Verdict.BAD
        why = (
            "the next address is asked instead"
            if others
            else "this node is alone: it goes on by what it knew, and changes nothing of the fleet"
        )
        return Finding(check, verdict, why_not, "healthy", why, f"etcdctl --endpoints {endpoint} endpoint health")
    found, wanted = f"healthy, answers after {after_s * 1000:.0f} ms", f"within {lease_s * _OF_LEASE * 1000:.0f} ms"
    if after_s > lease_s * _OF_LEASE:
        why = f"this node keeps its place in the fleet by an answer in good time within its lease ({lease_s:g} s)"
        return Finding(
            check, Verdict.WARN, found, wanted, why, f"etcdctl --endpoints {endpoint} check perf; see docs/store.md"
        )
    return Finding(check, Verdict.OK, found)


def server(server_id: str, address: str, why_not: str, after_s: float) -> Finding:
    """Judge whether a server can be connected to from here; it may well be down on purpose."""
    check = f"server {server_id}"
    if not why_not:
        return Finding(check, Verdict.OK, f"{address} connects after {after_s * 1000:.0f} ms")
    why = "it gets no clients while it does not connect"
    host, _, port = address.rpartition(":")
    command = (
        f"ss -lx, on this machine, for {port}"
        if host == "unix"
        else f"ss -ltn 'sport = :{port}' there, and the firewalls between"
    )
    return Finding(check, Verdict.WARN, f"{address}: {why_not}", "reachable", why, command)


def certificate(file: str, seconds_left: float, of: str = "certificate") -> Finding:
    """Judge how long a certificate is good, or the last one of an authority's file (`of`)."""
    days = int(seconds_left // _DAY_S)
    check = f"{of} {file}"
    why = "whoever checks it refuses it" if of == "certificate" else "whoever is checked by it is refused"
    command = f"replace {file} by a new one; it is read again by itself"
    if seconds_left <= 0:
        return Finding(check, Verdict.BAD, "expired", "valid", why, command)
    if days < _EXPIRES_SOON_DAYS:
        return Finding(
            check, Verdict.WARN, f"{days} days left", f"{_EXPIRES_SOON_DAYS} days or more", f"{why} then", command
        )
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
    return Finding(
        "clock",
        Verdict.WARN,
        found,
        "synchronised",
        why,
        "timedatectl set-ntp true, with systemd-timesyncd or chrony installed",
    )


def engine(running: str | None, file: str, other: str, *, has_unit: bool = False) -> Finding:
    """Judge whether an engine serves by the file. `running`: the file it names, None: none answers; `other`: its words.

    `has_unit`: systemd is to run it.
    """
    if running is None:
        command = "systemctl enable --now lbapp" if has_unit else f"lbapp run -c {file}"
        return Finding("engine", Verdict.OK, "none runs", command=command)
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


def _setting(key: str, value: str) -> str:
    """Return the commands that set a value of the kernel, now and at each boot."""
    return f'sysctl -w {key}="{value}"; to keep it: echo "{key} = {value}" >>/etc/sysctl.d/60-lbapp.conf'
