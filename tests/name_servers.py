"""Knot and BIND for tests: a zone that may be updated with a key, each server on a loopback port and in a folder of its own.

Responsible for their configurations, for starting and ending them, and for asking them as a client does. Knows nothing of lbapp.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdataclass
import dns.rdatatype

from tests.system.harness import free_port, wait_for

ZONE = "lb.test"
NAME = "www.lb.test"
NOTES = "_nodes.www.lb.test"
SECRET = base64.b64encode(b"a secret of thirty-two bytes ...").decode()
PROGRAMS = {"knot": "knotd", "bind": "named"}
PACKAGES = {"knot": "knot", "bind": "bind9"}

_ZONE_FILE = """$ORIGIN lb.test.
$TTL 300
@ SOA ns.lb.test. hostmaster.lb.test. 1 3600 600 86400 60
@ NS ns.lb.test.
ns A 127.0.0.1
alias CNAME ns
"""
_KNOT = """server:
    listen: 127.0.0.1@{port}
    rundir: {folder}
    user: {user}
control:
    listen: {folder}/knot.sock
database:
    storage: {folder}
log:
  - target: stderr
    any: info
key:
  - id: lbapp.
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: change
    key: lbapp.
    action: update
    update-owner: name
    update-owner-match: sub-or-equal
    update-owner-name: [www, _nodes.www]
    update-type: [A, AAAA, TXT]
  - id: look
    action: query
zone:
  - domain: lb.test
    storage: {folder}
    file: lb.test.zone
    acl: [change, look]
"""
_BIND = """options {{
    directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    recursion no;
    dnssec-validation no;
    notify no;
}};
controls {{ }};
key "lbapp." {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "lb.test" {{
    type primary;
    file "{folder}/lb.test.zone";
    update-policy {{ grant lbapp. name www.lb.test. A AAAA; grant lbapp. name _nodes.www.lb.test. TXT; }};
}};
"""


def missing(kind: str) -> str:
    """Return why a server cannot be run here, or nothing."""
    if _program(kind) is None:
        return f"needs {PROGRAMS[kind]}: apt-get install {PACKAGES[kind]}"
    return ""


def _program(kind: str) -> str | None:
    return shutil.which(PROGRAMS[kind], path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class NameServer:
    """A Knot or a BIND. What it was told stays in its folder while it is stopped."""

    def __init__(self, kind: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.kind = kind
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "lb.test.zone").write_text(_ZONE_FILE)
        user = "root:root" if os.geteuid() == 0 else f"{os.getuid()}:{os.getgid()}"
        template = _KNOT if kind == "knot" else _BIND
        text = template.format(port=self.port, folder=folder, secret=SECRET, user=user)
        if kind == "knot" and os.geteuid() != 0:
            text = text.replace(f"    user: {user}\n", "")
        (folder / "conf").write_text(text)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = _program(self.kind)
        assert program is not None
        flags = ["-c", str(self._folder / "conf")] if self.kind == "knot" else ["-g", "-c", str(self._folder / "conf")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *flags], stdout=log, stderr=log)
        wait_for(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with suppress(OSError, EOFError, dns.exception.DNSException):
            return bool(self._ask("ns.lb.test", "A").answer)
        return False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """End it at once, as a power failure does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Have it take connections and say nothing, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(20)
            self._process = None

    def _ask(self, name: str, kind: str) -> dns.message.Message:
        return dns.query.tcp(dns.message.make_query(name, kind), "127.0.0.1", 2.0, self.port)

    def has(self, kind: str = "A", name: str = NAME) -> list[str]:
        """Return the records of a name, sorted."""
        found = self._ask(name, kind).get_rrset(
            dns.message.ANSWER, dns.name.from_text(name), dns.rdataclass.IN, dns.rdatatype.from_text(kind)
        )
        return [] if found is None else sorted(record.to_text().strip('"') for record in found)

    def ttl(self, kind: str = "A") -> int:
        (found,) = self._ask(NAME, kind).answer
        return found.ttl

    def updates(self) -> int:
        """Return how many updates it has seen, by its log."""
        return self.log.count("DDNS, processing" if self.kind == "knot" else "updating zone 'lb.test/IN'")


@contextmanager
def name_server(kind: str, folder: Path) -> Iterator[NameServer]:
    server = NameServer(kind, folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
