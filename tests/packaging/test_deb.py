"""The Debian package: built, installed, run as its unit says, upgraded under load, removed, on a machine that is thrown away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packaging.machine import Machine
from tests.system.harness import wait_for

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "packaging" / "deb" / "build"
CONFIGURATION = "/etc/lbapp/lbapp.toml"
WANTED = "/etc/systemd/system/multi-user.target.wants/lbapp.service"
UNIT = "/lib/systemd/system/lbapp.service"

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="installing needs root"),
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs Debian"),
    pytest.mark.skipif(
        shutil.which(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}") is None,
        reason="the package runs with the system's Python, which is another version than this one",
    ),
]

_CONFIGURATION = """
[engine]
workers = 2

# As many as this machine has open files for, whatever it allows to be raised.
[limits]
connections_max = 1000

[access_log]
to = "file:/var/log/lbapp/access.log"

[[listener]]
name = "web"
bind = ["127.0.0.1:80", "unix:/run/lbapp/web.sock"]
pool = "app"

[[listener]]
name = "secure"
bind = "127.0.0.1:443"
pool = "app"

[[listener.tls.certificate]]
file = "/etc/lbapp/app.pem"

[[pool]]
name = "app"

[pool.health_check]
type = "http"
path = "/"
interval = "500ms"

[pool.persistence]
type = "ip"

[[pool.server]]
name = "s1"
address = "127.0.0.1:9001"
"""
_CERTIFICATE = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj /CN=app.test -addext subjectAltName=DNS:app.test -keyout /etc/lbapp/key -out /etc/lbapp/crt 2>/dev/null
cat /etc/lbapp/crt /etc/lbapp/key >/etc/lbapp/app.pem
rm /etc/lbapp/crt /etc/lbapp/key
chgrp lbapp /etc/lbapp/app.pem
chmod 640 /etc/lbapp/app.pem
"""
_SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", 9001), Answer).serve_forever()
"""
# Requests one after the other, half of them on a connection of their own, until its input ends; then what became of them.
_LOAD = """
import http.client, json, sys, threading
done, failed, ends = [], [], threading.Event()
def ask(keeps):
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=20)
    while not ends.is_set():
        try:
            connection.request("GET", "/", headers={} if keeps else {"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
            (done if (answer.status, body) == (200, b"hello") else failed).append(str(answer.status))
        except http.client.RemoteDisconnected as error:
            if not keeps:
                failed.append(repr(error))
            connection.close()  # a kept connection may be closed between two requests: any client asks again
        except OSError as error:
            failed.append(repr(error))
threads = [threading.Thread(target=ask, args=(keeps,)) for keeps in (True, False)]
for thread in threads:
    thread.start()
print("begun", flush=True)
sys.stdin.read()
ends.set()
for thread in threads:
    thread.join()
print(json.dumps({"done": len(done), "failed": failed}))
"""


def build(folder: Path, *options: str) -> Path:
    """Build the package and return its file."""
    done = subprocess.run(
        [str(BUILD), "--from", sys.executable, "--fast", *options, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@contextmanager
def load(machine: Machine) -> Iterator[dict[str, object]]:
    """Ask the machine's engine until the block ends; then what is yielded says what became of the requests."""
    found: dict[str, object] = {}
    process = subprocess.Popen(
        machine.command("python3", "-c", _LOAD), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    try:
        yield found
    finally:
        found.update(json.loads(process.communicate(timeout=60)[0]))


def pid_of(machine: Machine) -> int:
    return int(json.loads(machine.run("lbapp", "status", "--json"))["engine"]["pid"])


def start_as_unit(machine: Machine, log: Path) -> subprocess.Popen[bytes]:
    """Start the engine as its unit says, and return when it serves."""
    machine.write("/opt/as_unit.py", Path(__file__).with_name("as_unit.py"))
    machine.write(
        "/opt/groups", subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, check=True).stdout
    )
    process = machine.start(log, *as_unit("lbapp", "run", "-c", "/etc/lbapp/lbapp.toml"))

    def serves() -> bool:
        assert process.poll() is None, log.read_text()
        return "serving:" in log.read_text()

    wait_for(serves, 60)
    return process


def as_unit(*words: str) -> list[str]:
    return ["unshare", "--mount", "/usr/bin/python3", "/opt/as_unit.py", UNIT, "/opt/groups", *words]


def check_installed(machine: Machine) -> None:
    assert machine.run("lbapp", "--version").startswith("lbapp, version")
    assert machine.run("stat", "-c", "%U:%G %a", "/etc/lbapp/lbapp.toml") == "root:lbapp 640\n"
    assert machine.run("stat", "-c", "%U:%G %a", "/run/lbapp-vrrp") == "root:root 755\n"
    assert "/var/lib/lbapp:/usr/sbin/nologin" in machine.run("getent", "passwd", "lbapp")
    machine.run("lbapp", "check", "/etc/lbapp/lbapp.toml")
    assert "lbapp.service" in machine.run("ls", "/etc/systemd/system/multi-user.target.wants")
    assert "lbapp-dns.service" not in machine.run("ls", "/etc/systemd/system/multi-user.target.wants")
    assert "load balancer" in machine.run("man", "-P", "cat", "lbapp")
    assert "least_connections" in machine.run("man", "-P", "cat", "lbapp.toml")


def check_rights(machine: Machine, pid: int) -> None:
    """Check that the engine has the rights of its unit and no other, and its worker likewise."""
    status = dict(
        line.split(":\t", 1) for line in machine.run("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    user = machine.run("id", "-u", "lbapp").strip()
    assert set(status["Uid"].split()) == {user}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    for which in ("CapEff", "CapBnd", "CapAmb"):
        assert int(status[which], 16) == 1 << 10, which  # CAP_NET_BIND_SERVICE


def check_closed(machine: Machine) -> None:
    """Check that what stands around the engine in these tests refuses what the unit refuses."""
    refused = {
        "os.chown('/var/lib/lbapp', -1, 0)": "Operation not permitted",
        "open('/etc/lbapp/new', 'w')": "Read-only file system",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)": "Address family not supported",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)": "Operation not permitted",
        "os.sched_setaffinity(0, {0})": "Operation not permitted",
    }
    for what, why in refused.items():
        assert why in machine.run(*as_unit("python3", "-c", f"import mmap, os, socket; {what}"), fails=True), what


def check_rotation(machine: Machine) -> None:
    """Check that logrotate moves the access log away and that the engine goes on in a new one."""
    machine.run("curl", "-sf", "http://127.0.0.1/before")
    wait_for(lambda: "/before" in machine.run("cat", "/var/log/lbapp/access.log"))
    machine.run("logrotate", "--force", "/etc/logrotate.d/lbapp")
    # What comes before the engine has heard of it goes to the file that was moved away, so it takes more than one request.
    ask_and_look = "curl -sf http://127.0.0.1/after; cat /var/log/lbapp/access.log 2>/dev/null || true"
    wait_for(lambda: "/after" in machine.shell(ask_and_look))
    assert "/before" in machine.run("cat", "/var/log/lbapp/access.log.1")


def test_package_is_installed_run_as_its_unit_upgraded_under_load_and_removed(tmp_path: Path) -> None:
    first, second = build(tmp_path), build(tmp_path, "--version", "9.0-1")
    log = tmp_path / "engine.log"
    with Machine(tmp_path / "machine") as machine:
        machine.write("/opt/first.deb", first)
        machine.write("/opt/second.deb", second)
        machine.run("dpkg", "-i", "/opt/first.deb")
        check_installed(machine)

        machine.write("/etc/lbapp/lbapp.toml", _CONFIGURATION)
        machine.shell(_CERTIFICATE)
        machine.start(tmp_path / "server.log", "python3", "-c", _SERVER)
        engine = start_as_unit(machine, log)
        pid = pid_of(machine)
        check_rights(machine, pid)
        check_closed(machine)
        wait_for(lambda: "hello" in machine.run("curl", "-s", "http://127.0.0.1/"))
        over_tls = ["--cacert", "/etc/lbapp/app.pem", "--resolve", "app.test:443:127.0.0.1", "https://app.test/"]
        assert machine.run("curl", "-sf", *over_tls) == "hello"
        assert machine.run("curl", "-sf", "--unix-socket", "/run/lbapp/web.sock", "http://app.test/") == "hello"
        assert "as it was" in machine.run("setpriv", "--reuid=lbapp", "--clear-groups", "lbapp", "ready", "app/s1")
        machine.run("lbapp", "reload")
        check_rotation(machine)

        with load(machine) as requests:
            machine.run("dpkg", "-i", "/opt/second.deb")
        assert requests["failed"] == []
        assert requests["done"]
        upgraded = pid_of(machine)
        assert upgraded != pid
        check_rights(machine, upgraded)
        assert machine.run("stat", "-c", "%U:%G %a", "/etc/lbapp/lbapp.toml") == "root:lbapp 640\n"
        assert "WARNING" not in log.read_text()
        assert engine.wait(60) == 0

        machine.run("dpkg", "-r", "lbapp")
        assert "Couldn't connect" in machine.run("curl", "-sS", "http://127.0.0.1/", fails=True)
        machine.run("test", "-e", "/etc/lbapp/lbapp.toml")
        machine.run("test", "-e", "/usr/lib/lbapp", fails=True)
        machine.run("dpkg", "--purge", "lbapp")
        for left in (CONFIGURATION, "/var/lib/lbapp", "/var/log/lbapp", WANTED):
            machine.run("test", "-e", left, fails=True)


@pytest.mark.skipif(shutil.which("lintian") is None, reason="needs lintian")
def test_package_has_nothing_for_lintian_to_say(tmp_path: Path) -> None:
    said = subprocess.run(
        ["lintian", "--no-cfg", "--fail-on", "error,warning", "--allow-root", str(build(tmp_path))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout
    assert "unused-override" not in said.stdout
