"""nginx.conf in lbapp's words: the whole file, by files that nginx itself accepts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.config.load import parse_configuration
from lbapp.migrate.nginx import from_nginx
from lbapp.migrate.nginx_words import read
from lbapp.migrate.outcome import Fate, NothingMade
from lbapp.model.errors import LbappError

REAL = """worker_processes 2;
pid /tmp/never;
events { worker_connections 64; }
http {
    access_log off;
    gzip on;
    resolver 127.0.0.1:5353;
    client_max_body_size 8m;
    proxy_read_timeout 90;
    map $http_upgrade $connection_upgrade {
        default upgrade;
        ''      close;
    }
    limit_req_zone $binary_remote_addr zone=api:1m rate=10r/s;
    upstream app {
        least_conn;
        server 127.0.0.1:18081 weight=3 max_fails=2;
        server 127.0.0.1:18082 backup;
        keepalive 16;
    }
    upstream unused { server 127.0.0.1:1; }
    server {
        listen 127.0.0.1:18080;
        server_name www.example.com;
        error_page 502 /50x.html;
        location / {
            proxy_pass http://app;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }
        location /api/ {
            limit_req zone=api burst=5;
            proxy_connect_timeout 2s;
            proxy_pass http://127.0.0.1:18083/;
        }
        location ~ /\\.ht { deny all; }
        location = /50x.html { root /usr/share; }
    }
    server {
        listen 127.0.0.1:18080;
        server_name old.example.com;
        return 301 http://www.example.com$request_uri;
    }
}
"""
BEGIN = "# What is not as it was:"


def covered(made: str) -> set[str]:
    """Return the numbers of directives that stand in what came out: behind a key, or in the list."""
    numbers = {each for found in re.findall(r"  # ([0-9., ]+)$", made, re.MULTILINE) for each in found.split(", ")}
    return numbers | set(re.findall(r"^# line ([0-9.]+): ", made, re.MULTILINE))


def file_of(folder: Path, text: str) -> Path:
    file = folder / "nginx.conf"
    file.write_text(text)
    return file


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_the_file_of_these_tests_is_one_that_nginx_accepts(tmp_path: Path) -> None:
    text = REAL.replace("/tmp/never", f"{tmp_path}/pid")
    done = subprocess.run(
        ["nginx", "-t", "-e", "stderr", "-c", str(file_of(tmp_path, text))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_it_says_is_said_in_lbapps_words() -> None:
    outcome = from_nginx(REAL, Path("/nowhere/nginx.conf"))
    made = parse_configuration(outcome.text, "made")
    (listener,) = made.listeners
    assert (listener.pool, [str(bind) for bind in listener.binds]) == ("app", ["127.0.0.1:18080"])
    assert [(route.host, route.pool) for route in listener.routes if route.pool] == [(None, "127.0.0.1-18083")]
    assert {pool.name for pool in made.pools} == {"app", "127.0.0.1-18083"}
    limits = made.limits
    assert (limits.response_timeout_s, limits.connect_timeout_s, limits.request_body_bytes_max) == (90.0, 2.0, 8 << 20)
    assert made.engine.nameservers == (("127.0.0.1", 5353),)
    left = {note.text: note.opens for note in outcome.notes if note.fate is Fate.LEFT}
    assert left == {"gzip on;": False, "limit_req zone=api burst=5;": True, r"location ~ /\.ht {": True}


def test_limits_are_nginx_s_own_where_the_file_says_nothing() -> None:
    text = "server { location / { proxy_pass http://a; } }"
    limits = parse_configuration(from_nginx(text, Path("/n/x.conf")).text, "made").limits
    assert (limits.response_timeout_s, limits.client_idle_timeout_s, limits.request_body_bytes_max) == (
        60.0,
        75.0,
        1 << 20,
    )
    assert (limits.head_bytes_max, limits.uri_bytes_max) == (32768, 8192)
    text = "server { location / { proxy_pass http://a; } location /b { client_max_body_size 0; proxy_pass http://a; } }"
    assert parse_configuration(from_nginx(text, Path("/n/x.conf")).text, "made").limits.request_body_bytes_max == 0


def test_part_of_a_file_is_taken_as_the_block_it_belongs_into() -> None:
    made = from_nginx(
        "upstream a { server 127.0.0.1:1; } server { listen 127.0.0.1:5; proxy_pass a; }", Path("/n/x.conf")
    )
    assert parse_configuration(made.text, "made").listeners[0].protocol.value == "tcp"


def test_streams_are_tcp_listeners_and_names_of_a_hello_their_routes() -> None:
    text = """stream {
 map $ssl_preread_server_name $to { hostnames; a.example one; *.b.example two; .c.example two; default two; }
 upstream one { server 127.0.0.1:1; } upstream two { server 127.0.0.1:2; }
 server { listen 443; ssl_preread on; proxy_pass $to; proxy_timeout 5m; }
 server { listen 127.0.0.1:5432; proxy_pass one; proxy_protocol on; }
 server { listen 53 udp; proxy_pass two; } }"""
    outcome = from_nginx(text, Path("/n/nginx.conf"))
    first, second = parse_configuration(outcome.text, "made").listeners
    assert [(route.sni, route.pool) for route in first.routes] == [
        ("a.example", "one"),
        ("c.example", "two"),
        ("*.b.example", "two"),
        ("*.c.example", "two"),
    ]
    assert (first.pool, first.transport.tunnel_idle_timeout_s) == ("two", 300.0)
    pool = next(each for each in parse_configuration(outcome.text, "made").pools if each.name == second.pool)
    assert pool.transport.proxy_protocol is not None
    assert {note.text for note in outcome.notes if note.fate is Fate.LEFT} == {
        "server {",
        "listen 53 udp;",
        "proxy_pass two;",
    }


def sni_routes(entries: str) -> tuple[list[tuple[str | None, str]], list[str]]:
    """Return the routes of a listener by these entries of a map, and the lines that are not taken."""
    text = f"""stream {{ map $ssl_preread_server_name $to {{ {entries} }}
 upstream one {{ server 127.0.0.1:1; }} upstream two {{ server 127.0.0.1:2; }}
 server {{ listen 443; ssl_preread on; proxy_pass $to; }} }}"""
    outcome = from_nginx(text, Path("/n/nginx.conf"))
    routes = parse_configuration(outcome.text, "made").listeners[0].routes
    return [(route.sni, str(route.pool)) for route in routes], [
        each.text for each in outcome.notes if each.fate is Fate.LEFT
    ]


def test_names_of_a_map_are_asked_in_the_order_of_nginx_and_not_of_the_file() -> None:
    routes, left = sni_routes(
        r"hostnames; *.x.example one; ~^b\.x\.example$ two; *.a.x.example two; a.x.example two; default one;"
    )
    assert routes == [("a.x.example", "two"), ("*.a.x.example", "two"), ("*.x.example", "one"), ("b.x.example", "two")]
    assert left == []


def test_expression_of_a_map_that_stands_for_names_is_these_names() -> None:
    routes, left = sni_routes(
        r"~^(a|b)\.x\.example$ one; ~^.+\.y\.example$ two; ~^(.+\.)?z$ one; ~^a.+$ two; ~w one; default two;"
    )
    names = ["a.x.example", "b.x.example", "*.y.example", "z", "*.z"]
    assert [name for name, _ in routes] == names
    assert left == ["~^a.+$ two;", "~w one;"]


def test_without_hostnames_nobody_asks_for_a_name_with_a_star() -> None:
    routes, left = sni_routes("*.x.example one; .y.example one; z.example two; default one;")
    assert (routes, left) == ([("z.example", "two")], [])


def test_connections_are_logged_where_requests_are_or_where_they_were() -> None:
    stream = "stream { access_log /var/log/s.log x; server { listen 1; proxy_pass 127.0.0.1:1; } }"
    http = "http { access_log /var/log/h.log; server { listen 2; location / { proxy_pass http://127.0.0.1:1; } } }"
    alone = from_nginx(stream, Path("/n/nginx.conf"))
    log = parse_configuration(alone.text, "made").access_log
    assert (log.path, log.format.value) == ("/var/log/s.log", "json")
    with_idle = from_nginx(f"http {{ access_log /var/log/h.log; }} {stream}", Path("/n/nginx.conf"))
    assert parse_configuration(with_idle.text, "made").access_log == log
    assert [note for note in with_idle.notes if note.fate is Fate.LEFT] == []
    both = from_nginx(f"{stream}\n{http}", Path("/n/nginx.conf"))
    log = parse_configuration(both.text, "made").access_log
    assert (log.path, log.format.value) == ("/var/log/h.log", "combined")
    assert "all is logged to one place, that of line 2" in "".join(map(str, both.notes))


def test_where_requests_were_logged_they_are_logged_in_the_same_form() -> None:
    text = "access_log /var/log/x.log; server { access_log syslog:server=unix:/dev/log; location / { proxy_pass http://a; } }"
    outcome = from_nginx(text, Path("/n/x.conf"))
    log = parse_configuration(outcome.text, "made").access_log
    assert (log.target.value, log.path, log.format.value) == ("file", "/var/log/x.log", "combined")
    assert [note.fate for note in outcome.notes if note.text.startswith("access_log syslog")] == [Fate.DIFFERS]


_STRAY = st.sampled_from(
    [
        r"x y;deny all;server { listen 81; }",
        r"location /z { proxy_pass http://$x; }",
        r"location ~ (a+)+$ { deny all; }",
        r"listen 443 ssl;",
        r"if ($a) { return 403; }",
        r"return 200;",
        r"proxy_set_header A $b;",
        r"rewrite ^/a /b last;",
        r"root /x;",
        r"auth_basic off;",
        r"upstream u { server a weight=x; hash $x; }",
        r"add_header A;",
        r"limit_req;",
        r"map $a $b { x y; }",
        r"proxy_pass http://nowhere/$x;",
        r"error_page;",
        r"access_log;",
        r"server_name ~^(a|b)$ .c;",
        r"types { a b; }",
        r"allow x;",
        r"set $a http://b;",
        r"include mime.types;",
        r"location /n { location /n/m { return 444; } location ~ x { internal; } }",
        r"proxy_next_upstream off;",
        r"sticky route $x;",
        r"client_max_body_size x;",
        r"keepalive;",
        r"resolver x y;",
        r"set_real_ip_from x;",
        r"location @n { proxy_pass http://app; }",
        r"location = /q { proxy_pass https://app:9; }",
        r"return;",
        r"return 999;",
        r"proxy_pass;",
        r"listen 127.0.0.1:18080 proxy_protocol;",
        r"server { return 302 http://$cookie_a; }",
        r"location /w/ { proxy_pass http://app/v; }",
    ]
)
LINES = REAL.split("\n")


@given(st.lists(st.tuples(st.integers(0, len(LINES)), _STRAY), max_size=6))
def test_every_directive_is_in_what_comes_out_or_listed_and_what_comes_out_is_valid(
    strays: list[tuple[int, str]],
) -> None:
    lines = list(LINES)
    for at, stray in strays:
        lines.insert(at, stray)
    file, text = Path("/nowhere/nginx.conf"), "\n".join(lines)
    try:
        made = from_nginx(text, file).text
    except NothingMade as error:
        made = "\n".join(f"# {note}" for note in error.notes)
    except LbappError:
        return  # a } too few or too many: no file at all
    else:
        parse_configuration(made, "made")
    assert {each.line.number for one in read(file, text) for each in one.all()} <= covered(made)
