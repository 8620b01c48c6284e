"""haproxy.cfg in lbapp's words, by files that HAProxy itself accepts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.config.load import parse_configuration
from lbapp.migrate.haproxy import from_haproxy
from lbapp.migrate.outcome import Fate, NothingMade
from lbapp.model.errors import LbappError

REAL = """global
    maxconn 1000
    log /dev/log local0
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 20000
    option forwardfor
frontend web
    bind 127.0.0.1:18080,[::1]:18080
    acl is_api path_beg /api/
    acl is_api path_beg /v2/
    acl is_shop hdr(host) -i shop.example.com
    http-request deny if { path /secret }
    use_backend api if is_api is_shop
    use_backend api if METH_TRACE
    use_backend api if is_shop
    default_backend app
backend app
    balance roundrobin
    cookie SRV insert indirect nocache
    option httpchk GET /up
    default-server inter 1s fall 4
    server s1 127.0.0.1:18081 weight 30 check cookie a
    server s2 127.0.0.1:18082 weight 10 check cookie b slowstart 5s
backend api
    balance leastconn
    server s3 127.0.0.1:18083 maxconn 5
    server s4 127.0.0.1:18084 backup
listen db
    mode tcp
    bind 127.0.0.1:15432
    balance source
    server d1 127.0.0.1:15433 check
"""
LINES = [line for line in REAL.split("\n") if line]


def covered(text: str, made: str) -> set[int]:
    """Return the numbers of lines that stand in what came out: behind a key, or in the list."""
    numbers = {int(each) for found in re.findall(r"  # ([0-9, ]+)$", made, re.MULTILINE) for each in found.split(", ")}
    return numbers | {int(each) for each in re.findall(r"^# line ([0-9]+): ", made, re.MULTILINE)}


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")
def test_the_file_of_these_tests_is_one_that_haproxy_accepts(tmp_path: Path) -> None:
    (tmp_path / "f.cfg").write_text(REAL)
    done = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "f.cfg")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_it_says_is_said_in_lbapps_words() -> None:
    made = parse_configuration(from_haproxy(REAL, "f.cfg").text, "made")
    web, db = made.listeners
    assert [str(bind) for bind in web.binds] == ["127.0.0.1:18080", "[::1]:18080"]
    assert [(route.host, route.path, route.pool) for route in web.routes if route.pool] == [
        ("shop.example.com", "/api/", "api"),
        ("shop.example.com", "/v2/", "api"),
        (None, None, "api"),
        ("shop.example.com", None, "api"),
    ]
    assert (web.pool, db.protocol.value, db.pool) == ("app", "tcp", "db")
    app, api, _ = made.pools
    assert (app.algorithm.value, api.algorithm.value) == ("weighted_round_robin", "least_connections")
    assert [server.weight for server in app.servers] == [30, 10]
    assert (app.health_check.path, app.health_check.fall, app.health_check.interval_s) == ("/up", 4, 1.0)
    assert app.persistence is not None
    assert app.persistence.cookie == "SRV"
    assert [(server.connections_max, server.is_backup) for server in api.servers] == [(5, False), (0, True)]
    assert api.health_check.type.value == "none"
    assert (made.limits.connections_max, made.limits.response_timeout_s) == (1000, 20.0)


def test_rules_behind_one_that_cannot_be_said_are_not_taken() -> None:
    text = REAL.replace("use_backend api if METH_TRACE", "use_backend api if { src 10.0.0.0/8 }")
    notes = {note.number: note.why for note in from_haproxy(text, "f.cfg").notes if note.fate is Fate.LEFT}
    assert notes == {"17": "its conditions cannot be said in lbapp's words", "18": "a rule before it is not taken"}


def test_two_conditions_on_one_thing_are_not_taken_for_one_of_them() -> None:
    text = REAL.replace(
        "use_backend api if is_api is_shop",
        "acl is_v1 path_reg ^/v1 ^/v2\n    use_backend api if is_v1 { path_end .x }",
    )
    outcome = from_haproxy(text, "f.cfg")
    assert [route.pool for route in parse_configuration(outcome.text, "made").listeners[0].routes] == [None]
    assert "its conditions cannot be said in lbapp's words" in [
        note.why for note in outcome.notes if note.number == "17"
    ]


def test_listener_whose_certificate_is_not_there_is_left_out_with_the_reason() -> None:
    text = REAL.replace("bind 127.0.0.1:18080,", "bind 127.0.0.1:18443 ssl crt /nowhere/a.pem\n    bind ")
    outcome = from_haproxy(text, "f.cfg")
    assert "18443" not in outcome.text.partition("# What is not as it was")[0]
    assert any("cannot be read" in note.why and note.fate is Fate.LEFT for note in outcome.notes)


def test_nothing_that_serves_is_an_error_that_lists_the_lines() -> None:
    with pytest.raises(LbappError, match=r"nothing could be made of f\.cfg: listener: there is no listener") as caught:
        from_haproxy("global\n    daemon\nbackend b\n    server s 127.0.0.1:1\n", "f.cfg")
    assert isinstance(caught.value, NothingMade)
    assert str(caught.value.notes[1]).startswith("line 2: not needed")


def test_what_is_of_the_whole_node_is_taken_from_global_and_requests_keep_their_id() -> None:
    head = "global\n tune.bufsize 32768\n hard-stop-after 90s\n maxsessrate 5\n"
    text = REAL.replace("global\n", head).replace("frontend web\n", "frontend web\n    unique-id-header X-Request-ID\n")
    outcome = from_haproxy(text, "f.cfg")
    made = parse_configuration(outcome.text, "made")
    assert (made.limits.head_bytes_max, made.limits.stop_timeout_s) == (32768, 90.0)
    assert made.listeners[0].tracing.request_id
    assert [note.text for note in outcome.notes if note.fate is Fate.LEFT] == ["maxsessrate 5"]


def test_passwords_are_not_listed() -> None:
    text = "userlist u\n user a insecure-password geheim\nlisten s\n bind 127.0.0.1:9\n stats auth b:geheim\n"
    made = from_haproxy(REAL + text, "f.cfg")
    assert "stats auth b:***" in made.text
    assert "user a insecure-password ***" in made.text
    assert "geheim" not in made.text


_STRAY = st.sampled_from(
    r"""acl x src 10.0.0.0/8;server bad host;server s9 127.0.0.1:9 weight 999;bind *:80-90;cookie;balance;stats enable;log "x
use_backend;timeout client;mode;option httpchk;default_backend none;backend b;listen;frontend f;.if 1;defaults;backend we/ird
server a/b ::1:80 check;compression algo gzip;option httpchk a b c d;http-check expect status x
http-request deny if { path /a } or { src 10.0.0.0/8 };http-request deny unless { hdr(host) a };redirect scheme https
http-request set-header x y;no option httpchk;stick on src;tcp-check expect string x;errorfile 503 /x;server-template a 3 b:80;
use_backend api if { path_end .x };server t 127.0.0.1:5 ssl verify none;default-server ssl;monitor-uri /x;reqadd X:\ y
balance hdr(x);bind :::443 ssl crt /x accept-proxy""".replace("\n", ";").split(";")
)
_ANY = st.text(st.characters(codec="ascii", exclude_characters="\n"))


@given(st.lists(st.tuples(st.integers(0, len(LINES)), _STRAY | _ANY)))
def test_every_line_is_in_what_comes_out_or_listed_and_what_comes_out_is_valid(strays: list[tuple[int, str]]) -> None:
    lines = list(LINES)
    for at, stray in strays:
        lines.insert(at, stray)
    try:
        made = from_haproxy("\n".join(lines), "f.cfg").text
    except NothingMade as error:
        made = "\n".join(f"# {note}" for note in error.notes)
    else:
        parse_configuration(made, "made")
    wanted = {number for number, line in enumerate(lines, 1) if line.strip() and not line.strip().startswith("#")}
    assert wanted <= covered(REAL, made)


def test_proxy_that_shows_figures_alone_is_not_needed_and_decides_nothing() -> None:
    stats = "listen stats\n mode http\n bind *:1936\n maxconn 10\n timeout client 900s\n stats enable\n"
    outcome = from_haproxy(
        f"{stats}listen app\n mode http\n bind :80\n timeout client 5s\n server s 127.0.0.1:1", "f.cfg"
    )
    assert {note.fate for note in outcome.notes if int(note.number) <= 6} == {Fate.NOT_NEEDED}
    assert parse_configuration(outcome.text, "made").limits.body_idle_timeout_s == 5.0
