"""`[pool.hash]` and what algorithms ask for: what is accepted, what is refused."""

from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.entities import Pool
from lbapp.model.errors import ConfigurationError
from lbapp.model.hashing import BY_ADDRESS, Hash, KeyKind

LISTENER = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
SERVER = '[[pool.server]]\nname = "s1"\naddress = "127.0.0.1:1"\n'


def pool(keys: str, listener: str = LISTENER) -> Pool:
    return parse_configuration(f'{listener}[[pool]]\nname = "app"\n{keys}\n{SERVER}', "f").pools[0]


def refusal(keys: str, listener: str = LISTENER) -> str:
    with pytest.raises(ConfigurationError) as caught:
        pool(keys, listener)
    (problem,) = caught.value.problems
    assert problem.line > 0
    return f"{problem.key.removeprefix('pool[0].')}: {problem.message}"


def test_clients_are_told_apart_by_their_address_unless_something_else_is_said() -> None:
    assert pool("").hash == BY_ADDRESS == Hash(KeyKind.IP, "", 0)
    assert pool('algorithm = "hash"').hash == BY_ADDRESS


@pytest.mark.parametrize("key", ["header", "cookie", "query"])
def test_what_has_a_name_needs_one(key: str) -> None:
    found = pool(f'algorithm = "hash"\n[pool.hash]\nkey = "{key}"\nname = "x-user"\nbalance_factor = 125')
    assert found.hash == Hash(KeyKind(key), "x-user", 125)
    assert refusal(f'algorithm = "hash"\n[pool.hash]\nkey = "{key}"').startswith(
        f"hash: the name is missing; say which {key}"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('algorithm = "hash"\n[pool.hash]\nkey = "path"\nname = "x"', "hash.name: key 'path' has no name; remove it"),
        (
            '[pool.hash]\nkey = "ip"',
            "hash: the pool's algorithm hashes nothing; allowed with 'hash', 'ip_hash' or 'rendezvous'",
        ),
        ('algorithm = "ip_hash"\n[pool.hash]\nkey = "path"', "hash.key: ip_hash hashes the client's address"),
        ('algorithm = "rendezvous"\n[pool.hash]\nbalance_factor = 99', "hash.balance_factor: 99 is too small"),
        ('algorithm = "rendezvous"\n[pool.hash]\nbalance_factor = 1.25', "hash.balance_factor: "),
        ('algorithm = "rendezvous"\n[pool.hash]\nbalance_factor = 1001', "hash.balance_factor: "),
        ('algorithm = "hash"\n[pool.hash]\nkey = "cookie"\nname = "a b"', "hash.name: "),
        ('algorithm = "fist"', "algorithm: 'fist' is not known; allowed: "),
        ('algorithm = "first"', "algorithm: all would go to the first server"),
        ('algorithm = "hash"\n[pool.slow_start]\nwindow = "9s"', "slow_start: with algorithm 'hash' clients cannot"),
    ],
)
def test_what_makes_no_sense_is_refused(keys: str, said: str) -> None:
    assert said in refusal(keys)


def test_tcp_has_addresses_only() -> None:
    tcp = f'{LISTENER}protocol = "tcp"\n'
    assert "listener web speaks tcp, which has no path" in refusal('algorithm = "hash"\n[pool.hash]\nkey = "path"', tcp)
    assert pool('algorithm = "hash"', tcp).hash == BY_ADDRESS
