"""The Debian package under test: how it is built, what its engine serves, and who asks it.

A server of the engine's stands beside it on the machine; a request for /held is answered once somebody has asked it for /release.
"""

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

can_be_installed = [
    pytest.mark.system,
    pytest.mark.timeout(300),  # a machine that many share takes a minute to unpack and compile two packages
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
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
released = threading.Event()
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/release":
            released.set()
        elif self.path == "/held":
            released.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", 9001), Answer).serve_forever()
"""
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


def install(machine: Machine, first: Path) -> None:
    """Install the package, and see that it is as an operator expects it."""
    machine.write("/opt/first.deb", first)
    machine.run("dpkg", "-i", "/opt/first.deb")
    assert machine.run("lbapp", "--version").startswith("lbapp, version")
    assert machine.run("stat", "-c", "%U:%G %a", "/etc/lbapp/lbapp.toml") == "root:lbapp 640\n"
    assert machine.run("stat", "-c", "%U:%G %a", "/run/lbapp-vrrp") == "root:root 755\n"
    assert "/var/lib/lbapp:/usr/sbin/nologin" in machine.run("getent", "passwd", "lbapp")
    machine.run("lbapp", "check", "/etc/lbapp/lbapp.toml")
    assert "lbapp.service" in machine.run("ls", "/etc/systemd/system/multi-user.target.wants")
    assert "lbapp-dns.service" not in machine.run("ls", "/etc/systemd/system/multi-user.target.wants")
    assert "load balancer" in machine.run("man", "-P", "cat", "lbapp")
    assert "least_connections" in machine.run("man", "-P", "cat", "lbapp.toml")


def prepare(machine: Machine) -> None:
    """Give the engine its file and its certificate, and start its server."""
    machine.write(CONFIGURATION, _CONFIGURATION)
    machine.shell(_CERTIFICATE)
    machine.start(machine.folder / "server.log", "python3", "-c", _SERVER)


def check_serves(machine: Machine) -> None:
    """Check that it serves on TCP, by TLS and on a Unix socket."""
    wait_for(lambda: "hello" in machine.run("curl", "-s", "http://127.0.0.1/"))
    over_tls = ["--cacert", "/etc/lbapp/app.pem", "--resolve", "app.test:443:127.0.0.1", "https://app.test/"]
    assert machine.run("curl", "-sf", *over_tls) == "hello"
    assert machine.run("curl", "-sf", "--unix-socket", "/run/lbapp/web.sock", "http://app.test/") == "hello"


def pid_of(machine: Machine) -> int:
    return int(json.loads(machine.run("lbapp", "status", "--json"))["engine"]["pid"])


def check_rotation(machine: Machine) -> None:
    """Check that logrotate moves the access log away and that the engine goes on in a new one."""
    machine.run("curl", "-sf", "http://127.0.0.1/before")
    wait_for(lambda: "/before" in machine.run("cat", "/var/log/lbapp/access.log"))
    machine.run("logrotate", "--force", "/etc/logrotate.d/lbapp")
    # What comes before the engine has heard of it goes to the file that was moved away, so it takes more than one request.
    ask_and_look = "curl -sf http://127.0.0.1/after; cat /var/log/lbapp/access.log 2>/dev/null || true"
    wait_for(lambda: "/after" in machine.shell(ask_and_look))
    assert "/before" in machine.run("cat", "/var/log/lbapp/access.log.1")


def check_removed(machine: Machine) -> None:
    """Remove the package, then purge it, and see what is left each time."""
    machine.run("dpkg", "-r", "lbapp")
    assert "Couldn't connect" in machine.run("curl", "-sS", "http://127.0.0.1/", fails=True)
    machine.run("test", "-e", CONFIGURATION)
    machine.run("test", "-e", "/usr/lib/lbapp", fails=True)
    machine.run("dpkg", "--purge", "lbapp")
    for left in (CONFIGURATION, "/var/lib/lbapp", "/var/log/lbapp", "/run/lbapp", WANTED):
        machine.run("test", "-e", left, fails=True)
