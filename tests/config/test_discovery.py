"""`[pool.discover]` and name servers: what is accepted, what is refused."""

from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.discovery import Discover, DiscoverType
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError

LISTENER = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'


def read(keys: str, engine: str = "") -> Configuration:
    return parse_configuration(f'{engine}\n{LISTENER}[[pool]]\nname = "app"\n{keys}', "f")


def refusal(keys: str, engine: str = "") -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(keys, engine)
    (problem,) = caught.value.problems
    assert problem.line > 0
    return f"{problem.key.removeprefix('pool[0].')}: {problem.message}"


def test_servers_are_found_by_name() -> None:
    assert read("").pools[0].discover is None
    found = read('[pool.discover]\nname = "app.internal"\nport = 80').pools[0].discover
    assert found == Discover("app.internal", DiscoverType.ADDRESS, 80, 32)
    found = read('[pool.discover]\nname = "_http._tcp.app.internal."\ntype = "srv"\nservers_max = 5').pools[0].discover
    assert found == Discover("_http._tcp.app.internal.", DiscoverType.SRV, 0, 5)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("[pool.discover]\nport = 1", "discover.name: this key is missing"),
        ('[pool.discover]\nname = "app"', "discover: the port is missing: addresses have none"),
        (
            '[pool.discover]\nname = "app"\ntype = "srv"\nport = 1',
            "discover.port: SRV records name the port; remove it",
        ),
        (
            '[pool.discover]\nname = "10.0.0.1"\nport = 1',
            "discover.name: '10.0.0.1' is an address, which needs no finding",
        ),
        ('[pool.discover]\nname = "a b"\nport = 1', "discover.name: 'a b' is not a name; write one such as"),
        (f'[pool.discover]\nname = "{"x" * 64}.a"\nport = 1', "discover.name: "),
        ('[pool.discover]\nname = ".a"\nport = 1', "discover.name: "),
        ('[pool.discover]\nname = "a"\nport = 1\nservers_max = 0', "discover.servers_max: 0 is too small"),
        (
            '[pool.discover]\nname = "a"\nport = 1\n[[pool.server]]\nname = "s"\naddress = "127.0.0.1:1"',
            "server: the pool's servers are found by name",
        ),
        (
            '[pool.discover]\nname = "a"\nport = 1\n[pool.health_check.agent]\nport = 2',
            "health_check.agent: agents are for servers of the file",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(keys: str, said: str) -> None:
    assert said in refusal(keys)


def test_name_servers_are_addresses() -> None:
    engine = '[engine]\nnameservers = ["10.0.0.53", "::1", "[::1]:5353", "127.0.0.1:5300"]'
    assert read("", engine).engine.nameservers == (("10.0.0.53", 53), ("::1", 53), ("::1", 5353), ("127.0.0.1", 5300))
    assert "name servers have no names" in refusal("", '[engine]\nnameservers = ["dns.internal:53"]')
    assert refusal("", '[engine]\nnameservers = "10.0.0.1"').startswith("engine.nameservers: ")
    assert refusal("", "[engine]\nnameservers = [7]").startswith("engine.nameservers: ")
