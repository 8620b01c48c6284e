from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError
from lbapp.model.readiness import ReadinessSettings

REST = """
[[listener]]
name = "web"
bind = "127.0.0.1:0"
pool = "app"
[[listener.route]]
path = "/api/"
pool = "api"
[[listener.route]]
path = "/both/"
split = [{pool = "app", weight = 1}, {pool = "canary", weight = 1}]
[[pool]]
name = "app"
failover = "spare"
[[pool.server]]
name = "s1"
address = "127.0.0.1:1"
"""
POOLS = "".join(
    f'[[pool]]\nname = "{name}"\n[[pool.server]]\nname = "s1"\naddress = "127.0.0.1:1"\n'
    for name in ("api", "canary", "spare", "unused")
)


def read(text: str) -> Configuration:
    return parse_configuration(text + REST + POOLS, "lbapp.toml")


def test_one_eligible_server_is_asked_for_where_nothing_is_said() -> None:
    assert read("").readiness == ReadinessSettings(1, ())


def test_the_table_is_read() -> None:
    found = read('[readiness]\neligible_min = 0\npools = ["app", "api", "app"]\n').readiness
    assert found == ReadinessSettings(0, ("app", "api"))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("eligible_min = -1", "readiness.eligible_min: -1 is too small"),
        ('pools = ["apq"]', 'readiness.pools[0]: there is no pool "apq"'),
        ('pools = "app"', "readiness.pools: 'app' is no list of pools"),
        ("eligible = 1", "readiness.eligible: unknown key"),
    ],
)
def test_what_cannot_be_is_said_with_its_key(line: str, wrong: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(f"[readiness]\n{line}\n")
    assert wrong in str(caught.value)


def test_pools_that_requests_may_go_to_are_those_of_routes_shares_and_failovers_too() -> None:
    assert set(read("").led_to) == {"app", "api", "canary", "spare"}
