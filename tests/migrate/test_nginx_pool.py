"""Upstreams of nginx.conf as pools."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.config.load import parse_configuration
from lbapp.migrate.nginx import from_nginx
from lbapp.migrate.outcome import Fate, Outcome
from lbapp.model.entities import Pool

SERVERS = "server a:1; server b:2;"


def outcome_of(upstream: str, *, proxied: str = "proxy_pass http://app;") -> Outcome:
    text = (
        f"http {{ upstream app {{ {upstream} }} server {{ location / {{ {proxied} proxy_set_header Host $host; }} }} }}"
    )
    return from_nginx(text, Path("/nowhere/nginx.conf"))


def pool_of(upstream: str, **more: str) -> Pool:
    made = outcome_of(upstream, **more)
    assert [str(note) for note in made.notes if note.fate is Fate.LEFT] == []
    return parse_configuration(made.text, "made").pools[0]


@pytest.mark.parametrize(
    ("way", "algorithm", "key", "name"),
    [
        ("", "round_robin", "ip", ""), ("least_conn;", "least_connections", "ip", ""), ("ip_hash;", "ip_hash", "ip", ""),
        ("hash $remote_addr consistent;", "ip_hash", "ip", ""), ("hash $request_uri;", "hash", "path", ""),
        ("hash $arg_user;", "hash", "query", "user"), ("hash $http_x_user;", "hash", "header", "x-user"),
        ("hash $cookie_id;", "hash", "cookie", "id"), ("random two least_conn;", "two_choices", "ip", ""),
        ("least_time header;", "least_response_time", "ip", ""),
    ],
)  # fmt: skip
def test_servers_are_chosen_in_the_way_that_is_the_same_here(way: str, algorithm: str, key: str, name: str) -> None:
    pool = pool_of(f"{way} {SERVERS}")
    assert (pool.algorithm.value, pool.hash.key.value, pool.hash.name) == (algorithm, key, name)


def test_what_lbapp_cannot_hash_is_listed() -> None:
    assert [
        note.text for note in outcome_of(f"hash $scheme$proxy_host; {SERVERS}").notes if note.fate is Fate.LEFT
    ] == ["hash $scheme$proxy_host;"]


def test_servers_have_weights_limits_and_places_and_one_that_is_down_is_not_there() -> None:
    servers = "server a:1 weight=3 max_conns=7; server unix:/run/b.sock backup; server c; server d:4 down;"
    pool = pool_of(f"{servers} zone z 64k; keepalive 8;")
    found = [(each.host, each.port, each.weight, each.connections_max, each.is_backup) for each in pool.servers]
    assert found == [("a", 1, 3, 7, False), ("/run/b.sock", 0, 1, 0, True), ("c", 80, 1, 0, False)]
    assert pool.algorithm.value == "weighted_round_robin"


def test_probes_say_whether_a_server_is_up_unless_nginx_never_took_one_for_down() -> None:
    assert pool_of("server a:1 max_fails=3 fail_timeout=5s;").health_check.type.value == "tcp"
    assert pool_of("server a:1 max_fails=0;").health_check.type.value == "none"


def test_sticky_cookie_slow_start_and_queue_are_the_pools() -> None:
    pool = pool_of("sticky cookie srv expires=2h httponly; server a:1 slow_start=30s max_conns=2; queue 50 timeout=3s;")
    assert pool.persistence is not None
    assert (pool.persistence.cookie, pool.persistence.ttl_s, pool.persistence.http_only) == ("srv", 7200.0, True)
    assert pool.passive.slow_start is not None
    assert pool.passive.slow_start.window_s == 30.0
    assert (pool.capacity.queue.length_max, pool.capacity.queue.timeout_s) == (50, 3.0)
    assert outcome_of("sticky learn create=$x; server a:1;").left == 1


def test_upstream_is_a_pool_for_each_way_it_is_passed_to() -> None:
    text = """http { upstream app { server a; } server {
 location / { proxy_pass http://app; } location /s { proxy_pass https://app; proxy_ssl_name a.example; }
 location /v { proxy_pass https://app; proxy_ssl_verify on; } location /o { proxy_pass http://other:81; } } }"""
    made = parse_configuration(from_nginx(text, Path("/n/nginx.conf")).text, "made")
    pools = {pool.name: pool for pool in made.pools}
    assert set(pools) == {"app", "app-2", "app-3", "other-81"}
    assert [each.tls.verify for each in made.pools if each.tls is not None] == [False, True]
    named = next(each for each in made.pools if each.tls is not None and not each.tls.verify)
    assert named.tls is not None
    # nginx asks a server of an upstream that names no port at 80, whatever is spoken there.
    assert (named.servers[0].port, named.tls.server_name) == (80, "a.example")


def test_retries_are_as_proxy_next_upstream_says() -> None:
    more = "proxy_next_upstream error http_503; proxy_next_upstream_tries 3; proxy_next_upstream_timeout 4s; proxy_pass http://app;"
    retry = pool_of(SERVERS, proxied=more).retry
    assert (retry.attempts, retry.timeout_s, retry.on_status) == (3, 4.0, (503,))
    assert pool_of(SERVERS, proxied="proxy_next_upstream off; proxy_pass http://app;").retry.attempts == 1
