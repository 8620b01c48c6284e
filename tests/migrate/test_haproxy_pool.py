"""Backends of haproxy.cfg as pools: servers, health checks, persistence."""

from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.migrate.haproxy import from_haproxy
from lbapp.migrate.outcome import Fate, Outcome
from lbapp.model.entities import Pool
from lbapp.model.health import CheckType

FRONT = "listen app\n mode http\n bind 127.0.0.1:80\n"
SERVERS = " server a 127.0.0.1:1 check\n server b 127.0.0.1:2 check"


def outcome_of(lines: str, servers: str = SERVERS) -> Outcome:
    return from_haproxy(FRONT + "".join(f" {each}\n" for each in lines.split("\n") if each) + servers, "f.cfg")


def pool_of(lines: str, servers: str = SERVERS) -> Pool:
    made = outcome_of(lines, servers)
    assert [str(note) for note in made.notes if note.fate is Fate.LEFT] == []
    return parse_configuration(made.text, "made").pools[0]


@pytest.mark.parametrize(
    ("balance", "algorithm", "key", "name"),
    [
        ("roundrobin", "round_robin", "ip", ""), ("random(2)", "two_choices", "ip", ""), ("source", "ip_hash", "ip", ""),
        ("uri", "hash", "path", ""), ("url_param user", "hash", "query", "user"), ("hdr(X-User)", "hash", "header", "x-user"),
        ("hash src", "ip_hash", "ip", ""), ("hash req.hdr(x)", "hash", "header", "x"),
    ],
)  # fmt: skip
def test_servers_are_chosen_in_the_way_that_is_the_same_here(balance: str, algorithm: str, key: str, name: str) -> None:
    pool = pool_of(f"balance {balance}")
    assert (pool.algorithm.value, pool.hash.key.value, pool.hash.name) == (algorithm, key, name)


def test_way_of_choosing_that_lbapp_has_not_is_listed() -> None:
    assert "servers are chosen by round_robin" in str(outcome_of("balance rdp-cookie").notes)


def test_http_check_says_and_expects_what_it_did() -> None:
    check = pool_of(
        "option httpchk\nhttp-check send meth GET uri /up ver HTTP/1.1 hdr Host a.example hdr X-A b\n"
        "http-check expect ! rstatus ^5\ntimeout check 500"
    ).health_check
    assert (check.method, check.path, check.host, check.headers) == ("GET", "/up", "a.example", (("x-a", "b"),))
    assert (check.expect_status, check.timeout_s) == (((100, 499),), 0.5)
    check = pool_of(
        r"option httpchk HEAD /x HTTP/1.1\r\nHost:\ b.example" + "\nhttp-check expect string fine"
    ).health_check
    assert (check.method, check.path, check.host, check.expect_body) == ("HEAD", "/x", "b.example", "fine")


def test_dialogue_of_one_question_and_one_answer_is_asked_and_a_longer_one_listed() -> None:
    lines = "option tcp-check\ntcp-check connect\ntcp-check send PING\\r\\n\ntcp-check expect string +PONG"
    check = pool_of(lines).health_check
    assert (check.type, check.send, check.expect) == (CheckType.TCP, "PING\r\n", "+PONG")
    assert outcome_of(f"{lines}\ntcp-check send QUIT\\r\\n").left == 3
    check = pool_of("option redis-check").health_check
    assert (check.send, check.expect) == ("PING\r\n", "+PONG")


def test_pace_and_place_of_probes_and_agents_are_those_of_the_servers() -> None:
    server = " server a 127.0.0.1:1 check inter 3s fastinter 500 downinter 9s port 81 agent-check agent-port 82 slowstart 20s"
    pool = pool_of("", f"{server} on-error mark-down observe layer7")
    check = pool.health_check
    assert (check.interval_s, check.fast_interval_s, check.down_interval_s, check.port) == (3.0, 0.5, 9.0, 81)
    assert check.agent is not None
    assert check.agent.port == 82
    assert pool.passive.slow_start is not None
    assert (pool.passive.slow_start.window_s, pool.passive.on_error.value) == (20.0, "mark_down")


def test_clients_that_stick_are_remembered_by_address_or_header() -> None:
    persistence = pool_of("stick-table type ip size 1m expire 30m\nstick on src").persistence
    assert persistence is not None
    assert (persistence.type.value, persistence.ttl_s) == ("ip", 1800.0)
    persistence = pool_of("stick-table type string size 1m\nstick on req.hdr(X-User)").persistence
    assert persistence is not None
    assert (persistence.type.value, persistence.header) == ("header", "x-user")


def test_tls_and_proxy_of_all_servers_are_of_the_pool_and_one_that_has_another_is_listed() -> None:
    servers = (
        " default-server ssl verify none sni str(a.example) send-proxy-v2\n server a 127.0.0.1:1\n server b 127.0.0.1:2"
    )
    pool = pool_of("", servers)
    assert pool.tls is not None
    assert (pool.tls.verify, pool.tls.server_name) == (False, "a.example")
    assert pool.transport.proxy_protocol is not None
    assert pool.transport.proxy_protocol.value == "v2"
    made = outcome_of("", f"{servers}\n server c 127.0.0.1:3 no-ssl")
    assert [note.text for note in made.notes if note.fate is Fate.LEFT] == ["server c 127.0.0.1:3 no-ssl"]


def test_servers_of_a_name_are_found_by_it_and_name_servers_asked() -> None:
    front = (
        FRONT
        + " server-template s 5 _http._tcp.app.internal resolvers r check\nresolvers r\n nameserver n 10.0.0.53:53\n"
    )
    made = parse_configuration(from_haproxy(front, "f.cfg").text, "made")
    discover = made.pools[0].discover
    assert discover is not None
    assert (discover.name, discover.type.value, discover.servers_max) == ("_http._tcp.app.internal", "srv", 5)
    assert made.engine.nameservers == (("10.0.0.53", 53),)


def test_pool_of_backups_alone_serves() -> None:
    pool = pool_of("retries 1", " server a 127.0.0.1:1 backup\n server b 127.0.0.1:2 backup")
    assert [server.is_backup for server in pool.servers] == [False, False]
    assert pool.retry.attempts == 2


def test_server_that_is_disabled_is_not_there_and_one_without_a_port_is_listed() -> None:
    made = outcome_of(
        "",
        " server a 10.0.0.1:80\n server b 10.0.0.2:80 disabled\n server c 10.0.0.3\n server d ::1:80\n server e /run/e.sock",
    )
    servers = parse_configuration(made.text, "made").pools[0].servers
    assert [(server.name, server.host, server.port) for server in servers] == [
        ("a", "10.0.0.1", 80), ("d", "::1", 80), ("e", "/run/e.sock", 0),
    ]  # fmt: skip
    assert [note.text for note in made.notes if note.fate is Fate.LEFT] == ["server c 10.0.0.3"]


@pytest.mark.parametrize(
    "way", ["socks4 127.0.0.1:1080", "proto h2", "send-proxy-v2-ssl", "namespace blue", "redir http://x"]
)
def test_server_that_is_reached_in_a_way_of_its_own_is_not_spoken_to_in_another(way: str) -> None:
    outcome = outcome_of("", f" server a 127.0.0.1:1 check {way}\n server b 127.0.0.1:2 check")
    assert [server.name for server in parse_configuration(outcome.text, "made").pools[0].servers] == ["b"]
    (note,) = (note for note in outcome.notes if note.fate is Fate.LEFT)
    assert f"lbapp cannot reach a server so: {way}" in note.why


def test_words_without_a_value_take_none() -> None:
    outcome = outcome_of("", " server a 127.0.0.1:1 check-via-socks4 check inter 7s")
    assert parse_configuration(outcome.text, "made").pools[0].health_check.interval_s == 7.0


def test_value_of_a_cookie_that_is_not_taken_is_not_said_to_be_another() -> None:
    outcome = outcome_of("cookie SRV prefix", " server a 127.0.0.1:1 check cookie one")
    assert [note.why for note in outcome.notes if note.text.startswith("server")] == ["not taken of it: cookie one"]
