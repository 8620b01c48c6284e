"""Imported files serve as they did: HAProxy or nginx by its own file and lbapp by what is made of it, before the same servers."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lbapp.cli.context import Settings
from lbapp.cli.importing import importing
from tests.engine.worker.harness import TcpServer, read_exactly, read_head
from tests.system.harness import free_port, running_engine, wait_for
from tests.tls_material import Authority

# What lbapp says to servers in any case, and what is of one connection.
OURS = {"via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
HOP = {"connection", "keep-alive"}
TIMES = "timeout connect 5s\n timeout client 30s\n timeout server 30s\n"

needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")
needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


@dataclass(frozen=True)
class Asked:
    """A request, and how it is made: `port` chooses one of the addresses."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    is_tls: bool = False
    body: bytes = b""


@dataclass(frozen=True)
class Got:
    """What a client got, and what a server saw."""

    status: int
    location: str
    fields: dict[str, str]
    server: str
    target: str
    seen: dict[str, str]


def telling(name: str) -> Callable[[socket.socket], None]:
    """An HTTP server that answers with its name and what it saw."""

    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            head, rest = read_head(connection, rest)
            first, *lines = head.decode().strip().split("\r\n")
            seen = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
            length = int(seen.get("content-length", "0"))
            read_exactly(connection, length, rest)
            rest = rest[length:]
            body = json.dumps({"server": name, "target": first.split(" ")[1], "seen": seen}).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Server: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return handle


@contextmanager
def telling_servers(*names: str) -> Iterator[dict[str, int]]:
    with ExitStack() as stack:
        ports = {}
        for name in names:
            server = TcpServer(telling(name))
            stack.callback(server.close)
            ports[name] = server.port
        yield ports


def ask(ports: list[int], asked: Asked) -> Got:
    where = ("127.0.0.1", ports[asked.port])
    if asked.is_tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(*where, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection(*where, timeout=10)
    with contextlib.closing(connection):
        connection.request(asked.method, asked.path, asked.body or None, {"Host": "a.example", **asked.headers})
        answer = connection.getresponse()
        body = answer.read()
        fields = {key.lower(): value for key, value in answer.getheaders() if key.lower().startswith("x-")}
        told: dict[str, Any] = {"server": "", "target": "", "seen": {}}
        if "x-server" in fields:
            told = json.loads(body)
        seen = {key: value for key, value in told["seen"].items() if key not in HOP}
        return Got(answer.status, answer.getheader("Location", ""), fields, told["server"], told["target"], seen)


def is_serving(ports: list[int]) -> bool:
    for port in ports:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionResetError:
            continue  # somebody listens, and lets nobody in
        except OSError:
            return False
    return True


@contextmanager
def running(file: Path, ports: list[int]) -> Iterator[None]:
    """Run HAProxy or nginx by its file until the block ends; it listens on these ports."""
    command = ["haproxy", "-db", "-f", str(file)]
    if file.name == "nginx.conf":
        command = ["nginx", "-e", "stderr", "-c", str(file), "-g", "daemon off;"]
    log = file.parent / "their.log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            wait_for(lambda: is_serving(ports) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()


def imported(file: Path, theirs: list[int], ours: list[int], statuses: tuple[int, ...] = (0,)) -> str:
    """Return what `lbapp import` makes of their file, on our ports in place of theirs. `statuses`: those that it may have."""
    done = CliRunner().invoke(importing, [str(file)], obj=Settings())
    assert done.exit_code in statuses, done.stderr
    assert "KEPT CLIENTS OUT" not in done.stderr
    toml = done.stdout
    for old, new in zip(theirs, ours, strict=True):
        toml = toml.replace(f":{old}", f":{new}")
    return toml


def both(
    folder: Path, name: str, text: str, count: int, requests: list[Asked], settled: Asked | None = None
) -> Iterator[tuple[Asked, Got, Got]]:
    """Yield each request with what comes of it by their proxy and by lbapp. P0, P1, ... in the text are its ports.

    `settled`: a request that has to be answered with 200 before the others are made.
    """

    def settle(ports: list[int]) -> None:
        if settled is not None:
            wait_for(lambda: ask(ports, settled).status == 200)

    theirs, ours = ([free_port() for _ in range(count)] for _ in range(2))
    file = folder / name
    for at, port in enumerate(theirs):
        text = text.replace(f"P{at}", str(port))
    file.write_text(text)
    with running(file, theirs):
        settle(theirs)
        got = [ask(theirs, asked) for asked in requests]
    with running_engine(folder, imported(file, theirs, ours, (0, 4)), workers=1):
        settle(ours)
        for asked, theirs_got in zip(requests, got, strict=True):
            yield asked, theirs_got, ask(ours, asked)


def assert_alike(asked: Asked, theirs: Got, ours: Got) -> None:
    assert (ours.status, ours.server, ours.target) == (theirs.status, theirs.server, theirs.target), (
        asked,
        theirs,
        ours,
    )
    assert ours.fields == theirs.fields, asked
    said = {key: value for key, value in ours.seen.items() if key not in OURS or key in theirs.seen}
    assert said == theirs.seen, asked


@needs_haproxy
def test_rules_of_a_haproxy_cfg_do_what_they_did(tmp_path: Path) -> None:
    with telling_servers("app", "api", "old") as at:
        text = f"""defaults
 mode http
 {TIMES}
frontend web
 bind 127.0.0.1:P0
 acl known hdr(host) -i a.example b.example
 acl is_api path_beg /api/ /v2/
 monitor-uri /alive
 http-request deny deny_status 404 if {{ path_end -i .php }}
 http-request deny unless known
 http-request return status 200 content-type text/plain string "hi" if {{ path /hi }}
 http-request redirect location /new code 303 if {{ path /old-page }}
 http-request redirect prefix http://c.example/x code 301 if {{ path_reg ^/moved/[0-9]+$ }}
 http-request set-header X-Real-IP %[src]
 http-request del-header X-Secret
 http-response del-header X-Server2
 http-response set-header X-Frame-Options DENY
 use_backend api if is_api METH_GET
 use_backend old if {{ hdr(x-old) -m found }} or {{ hdr_beg(host) b. }} {{ path_sub legacy }}
 default_backend app
backend app
 server app 127.0.0.1:{at["app"]}
backend api
 http-request replace-path ^/api/(.*) /\\1
 http-request add-header X-Api 1
 server api 127.0.0.1:{at["api"]}
backend old
 http-request deny if {{ path_beg /private }}
 server old 127.0.0.1:{at["old"]}
"""
        requests = [
            Asked("/"), Asked("/alive"), Asked("/x.PHP"), Asked("/hi"), Asked("/old-page"), Asked("/moved/12"), Asked("/moved/x"),
            Asked("/", headers={"Host": "other.example"}), Asked("/hi", headers={"Host": "other.example"}), Asked("/api/a/b?c=d"),
            Asked("/api/a", "POST", body=b"x"), Asked("/v2/y"), Asked("/apix"), Asked("/", headers={"X-Old": "1"}),
            Asked("/private", headers={"X-Old": "1"}), Asked("/private"), Asked("/a/legacy/b", headers={"Host": "b.example"}),
            Asked("/a/legacy/b"), Asked("/", headers={"X-Secret": "s", "X-Real-IP": "9.9.9.9", "Cookie": "a=b"}),
        ]  # fmt: skip
        for asked, theirs, ours in both(tmp_path, "haproxy.cfg", text, 1, requests):
            if theirs.server:
                assert_alike(asked, theirs, ours)
            assert (ours.status, ours.server) == (theirs.status, theirs.server), asked
            # lbapp always names scheme and host, HAProxy where the rule does.
            assert ours.location.removeprefix("http://a.example") == theirs.location, asked


@needs_haproxy
def test_addresses_with_and_without_tls_of_a_haproxy_cfg_do_what_they_did(tmp_path: Path) -> None:
    pair = Authority().issue("a.example")
    pem = tmp_path / "both.pem"
    pem.touch(0o600)
    pem.write_bytes(pair.certificate + pair.key)
    with telling_servers("app") as at:
        text = f"""global
 crt-base {tmp_path}
defaults
 mode http
 {TIMES}
frontend web
 bind 127.0.0.1:P0
 bind 127.0.0.1:P1 ssl crt both.pem
 http-request redirect scheme https code 301 unless {{ ssl_fc }}
 http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
 http-request deny if {{ path /no }} {{ ssl_fc }}
 default_backend app
backend app
 option forwardfor
 server app 127.0.0.1:{at["app"]}
"""
        requests = [
            Asked("/a?b=c"),
            Asked("/a?b=c", port=1, is_tls=True),
            Asked("/no", port=1, is_tls=True),
            Asked("/no"),
        ]
        for asked, theirs, ours in both(tmp_path, "haproxy.cfg", text, 2, requests):
            assert_alike(asked, theirs, ours)
            assert ours.location == theirs.location


@needs_haproxy
def test_a_server_that_is_down_is_replaced_as_by_haproxy(tmp_path: Path) -> None:
    closed = free_port()
    with telling_servers("b", "c") as at:
        text = f"""defaults
 mode http
 retries 2
 option redispatch
 {TIMES}
listen web
 bind 127.0.0.1:P0
 option allbackups
 default-server inter 200 fall 1 rise 1
 server a 127.0.0.1:{closed} check
 server b 127.0.0.1:{at["b"]} check backup
 server c 127.0.0.1:{at["c"]} check backup
"""
        # Until its first probe a server is taken for one that serves, and backups get nothing.
        got = list(both(tmp_path, "haproxy.cfg", text, 1, [Asked("/")] * 30, settled=Asked("/")))
        assert {theirs.server for _, theirs, _ in got} == {ours.server for _, _, ours in got} == {"b", "c"}
        assert {each.status for _, *two in got for each in two} == {200}


def nginx_conf(folder: Path, http_block: str) -> str:
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = " ".join(f"{name}_temp_path {folder}/{name};" for name in names)
    head = f"user root;\npid {folder}/pid;\nevents {{ worker_connections 64; }}\n"
    return f"{head}http {{ access_log off; {paths}\n{http_block}\n}}\n"


@needs_nginx
def test_locations_of_an_nginx_conf_do_what_they_did(tmp_path: Path) -> None:
    with telling_servers("app", "api", "img") as at:
        text = nginx_conf(
            tmp_path,
            f"""upstream app {{ least_conn; server 127.0.0.1:{at["app"]} weight=2; }}
 upstream api {{ server 127.0.0.1:{at["api"]}; keepalive 4; }}
 client_max_body_size 1k;
 server {{
  listen 127.0.0.1:P0 default_server;
  server_name a.example *.a.example;
  proxy_set_header Host $host;
  proxy_set_header X-Real-IP $remote_addr;
  add_header X-Frame-Options DENY always;
  location / {{ proxy_pass http://app; }}
  location /api/ {{ proxy_pass http://api/v1/; }}
  location /api/raw/ {{ proxy_pass http://api; proxy_set_header X-Raw yes; proxy_set_header X-Gone ""; }}
  location ^~ /img/ {{ proxy_pass http://127.0.0.1:{at["img"]}; }}
  location ~* ^/UP {{ proxy_pass http://api; }}
  location = / {{ return 200 "root"; }}
  location /old {{ return 302 http://new.example$request_uri; }}
  location /strip {{ rewrite ^/strip/(.*)$ /$1 break; proxy_pass http://app; }}
 }}
 server {{ listen 127.0.0.1:P0; server_name go.example; return 301 https://a.example$request_uri; }}
 server {{ listen 127.0.0.1:P0; server_name b.example; location /only {{ proxy_pass http://api; }} }}""",
        )
        b_example = {"Host": "b.example"}
        requests = [
            Asked("/"), Asked("/x?y=z"), Asked("/api"), Asked("/api/a?b"), Asked("/api/raw/x", headers={"X-Gone": "1"}),
            Asked("/img/a"), Asked("/up/x"), Asked("/old/q?r=s"), Asked("/strip/a/b"),
            Asked("/x", headers={"Host": "sub.a.example"}), Asked("/p?q", headers={"Host": "go.example"}),
            Asked("/only/x", headers=b_example), Asked("/other", headers=b_example),
            Asked("/x", headers={"Host": "nobody.example"}),
            Asked("/x", "POST", body=b"x" * 500), Asked("/x", "POST", body=b"x" * 2000),
        ]  # fmt: skip
        for asked, theirs, ours in both(tmp_path, "nginx.conf", text, 1, requests):
            if theirs.server:
                assert_alike(asked, theirs, ours)
            assert (ours.status, ours.server) == (theirs.status, theirs.server), asked
            # nginx names the port that it listens on, lbapp the one that was asked for.
            assert ours.location == re.sub(r"^http://a\.example:[0-9]+/", "http://a.example/", theirs.location), asked


@needs_nginx
def test_names_and_certificates_of_an_nginx_conf_do_what_they_did(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.issue("a.example").write(tmp_path, "a")
    with telling_servers("app", "tls") as at:
        text = nginx_conf(
            tmp_path,
            f"""upstream pool.internal {{ server 127.0.0.1:{at["app"]}; }}
 server {{ listen 127.0.0.1:P0; server_name a.example;
  if ($host = a.example) {{ return 301 https://$host$request_uri; }}
  return 404; }}
 server {{
  listen 127.0.0.1:P1 ssl http2; server_name a.example;
  ssl_certificate {files.file}; ssl_certificate_key {files.key};
  location / {{
   proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
   proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; proxy_pass http://pool.internal; }}
 }}""",
        )
        requests = [Asked("/a?b"), Asked("/x", headers={"Host": "z.example"}), Asked("/a?b", port=1, is_tls=True)]
        for asked, theirs, ours in both(tmp_path, "nginx.conf", text, 2, requests):
            assert_alike(asked, theirs, ours)
            assert ours.location == theirs.location
