from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from lbapp.config.load import parse_configuration
from lbapp.engine.policy.reload import CannotReload, Version, plan_reload

BASE = """
[engine]
workers = 2

[[listener]]
name = "web"
bind = "127.0.0.1:8080"
pool = "app"

[[pool]]
name = "app"
algorithm = "round_robin"

[pool.drain]
timeout = "30s"

[[pool.server]]
name = "s1"
address = "127.0.0.1:9001"

[[pool.server]]
name = "s2"
address = "127.0.0.1:9002"
"""


def version(text: str) -> Version:
    return Version(parse_configuration(text, "lbapp.toml"), tomllib.loads(text))


def planned(before: str, after: str) -> list[str]:
    found = plan_reload(version(before), version(after))
    return [line for each in found for line in (f"{each.kind} {each.what}: {each.how}", *each.details)]


def test_same_configuration_with_another_comment_or_a_default_spelled_out_is_nothing_to_do() -> None:
    assert planned(BASE, "# by hand\n" + BASE) == []
    assert (
        planned(BASE, BASE.replace('address = "127.0.0.1:9001"\n', 'address = "127.0.0.1:9001"\nweight = 100\n')) == []
    )


def test_servers_are_told_one_by_one_with_what_becomes_of_what_they_have() -> None:
    after = BASE.replace('"s2"', '"s3"').replace(':9001"\n', ':9001"\nweight = 7\n')
    assert planned(BASE, after) == [
        "changed server app/s1: in place",
        "weight: (not set) -> 7",
        "added server app/s3: at 127.0.0.1:9002, weight 100",
        "removed server app/s2: what is in flight finishes, by force after 30 s",
    ]


def test_server_that_moves_is_another_place_of_which_nothing_is_known() -> None:
    assert planned(BASE, BASE.replace(":9001", ":9009")) == [
        "changed server app/s1: what is in flight finishes at 127.0.0.1:9001; its health is unknown until it is checked",
        "address: 127.0.0.1:9001 -> 127.0.0.1:9009",
    ]


def test_order_of_servers_is_part_of_a_pool() -> None:
    after = (
        BASE.replace("s1", "s0").replace("s2", "s1").replace("s0", "s2").replace("9001", "0").replace("9002", "9001")
    )
    assert planned(BASE, after.replace(":0", ":9002")) == ["changed pool app: its servers stand in another order"]


def test_pool_is_changed_in_place_and_its_servers_are_not_part_of_its_details() -> None:
    after = (
        BASE.replace("round_robin", "ip_hash")
        .replace('"30s"', '"5s"')
        .replace('name = "s2"', 'name = "s2"\nweight = 1')
    )
    assert planned(BASE, after) == [
        "changed pool app: in place; its servers keep their state and their connections",
        "algorithm: round_robin -> ip_hash",
        "drain.timeout: 30s -> 5s",
        "changed server app/s2: in place",
        "weight: (not set) -> 1",
    ]


def test_listener_keeps_its_connections_unless_it_speaks_otherwise() -> None:
    stays = "open connections go on, and their next request is served by it"
    assert planned(BASE, BASE.replace('"127.0.0.1:8080"', '["127.0.0.1:8080", "127.0.0.1:8081"]')) == [
        f"changed listener web: accepts on 127.0.0.1:8081, too; {stays}",
        "bind: 127.0.0.1:8080 -> ['127.0.0.1:8080', '127.0.0.1:8081']",
    ]
    assert planned(BASE, BASE.replace('pool = "app"\n\n', 'pool = "app"\nprotocol = "tcp"\n\n')) == [
        "changed listener web: open connections, which began otherwise, finish within limits.stop_timeout",
        "protocol: (not set) -> tcp",
    ]
    assert planned(BASE, BASE.replace(":8080", ":8090"))[0].startswith(
        "changed listener web: accepts on 127.0.0.1:8090, too; accepts on 127.0.0.1:8080 no more"
    )


def test_listeners_and_pools_come_and_go() -> None:
    more = BASE + '[[listener]]\nname = "more"\nbind = "127.0.0.1:8081"\npool = "new"\n[[pool]]\nname = "new"\n'
    more += '[[pool.server]]\nname = "n1"\naddress = "127.0.0.1:9003"\n'
    assert planned(BASE, more) == ["added listener more: accepts on 127.0.0.1:8081", "added pool new: with 1 server"]
    assert planned(more, BASE) == [
        "removed listener more: accepts nobody any more; its connections finish within limits.stop_timeout",
        "removed pool new: with its 1 servers; what is in flight finishes, by force after 300 s",
    ]


def test_limits_and_name_servers_apply_and_what_a_process_is_made_with_does_not() -> None:
    assert planned(BASE, BASE + '[limits]\nclient_idle_timeout = "5s"\n') == [
        "changed limits: for connections that are opened from now on",
        "client_idle_timeout: (not set) -> 5s",
    ]
    assert planned(BASE, BASE.replace("workers = 2", 'workers = 2\nnameservers = ["127.0.0.1"]')) == [
        "changed engine: in place",
        "nameservers: (not set) -> ['127.0.0.1']",
    ]
    with pytest.raises(CannotReload, match=r"^engine\.workers, engine\.state_dir cannot change while the engine runs$"):
        planned(BASE, BASE.replace("workers = 2", 'workers = 1\nstate_dir = "/var/lib/other"'))


def test_no_secret_is_told_and_long_values_are_cut() -> None:
    keys = 'persistence = { type = "cookie", keys = [{ id = "a", secret = "0123456789abcdef" }] }\n'
    found = "\n".join(planned(BASE, BASE.replace('name = "app"\n', f'name = "app"\n{keys}')))
    assert "persistence.keys: changed" in found
    assert "0123456789abcdef" not in found
    before, after = version(BASE), version(BASE.replace("round_robin", "ip_hash"))
    tables = tomllib.loads(BASE.replace('"round_robin"', '"' + "x" * 99 + '"'))
    (plan,) = plan_reload(replace(before, tables=tables), after)
    assert plan.details == (f"algorithm: {'x' * 60}... -> ip_hash",)


def test_tables_that_are_not_what_they_should_be_are_told_as_nothing() -> None:
    before, after = version(BASE), version(BASE.replace("round_robin", "ip_hash"))
    damaged: list[dict[str, object]] = [{"pool": "nonsense"}, {"pool": [1]}, {"pool": []}]
    for tables in damaged:
        (plan,) = plan_reload(replace(before, tables=tables), after)
        assert "algorithm: (not set) -> ip_hash" in plan.details
    routes = '[[listener.route]]\npath = "/a"\npool = "app"\n'
    with_routes = BASE.replace('pool = "app"\n\n', f'pool = "app"\n{routes}\n', 1)
    assert "route: (not set) -> 1 tables" in planned(BASE, with_routes)
    assert "backup: (not set) -> true" in planned(BASE, BASE.replace('name = "s2"', 'name = "s2"\nbackup = true'))
