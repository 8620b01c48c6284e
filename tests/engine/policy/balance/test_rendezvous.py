"""Rendezvous: shares by weight, and no key moves that need not."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.engine.policy.balance.base import ServerState
from lbapp.engine.policy.balance.rendezvous import Rendezvous
from tests.engine.policy.balance.support import Load, pool

KEYS = [b"%d" % number for number in range(2000)]


def owners(servers: list[ServerState]) -> dict[bytes, str | None]:
    algorithm = Rendezvous(Load(), Random(1))
    algorithm.update(servers, 0.0)
    names = {server.index: server.id for server in servers}
    chosen = {key: algorithm.choose_server(key, 0.0) for key in KEYS}
    return {key: None if index is None else names[index] for key, index in chosen.items()}


def test_shares_follow_weights() -> None:
    counts = Counter(owners(pool(100, 100, 200)).values())
    for name, share in (("app/s0", 0.25), ("app/s1", 0.25), ("app/s2", 0.5)):
        assert abs(counts[name] / len(KEYS) - share) < 0.04


@settings(max_examples=40)
@given(st.lists(st.integers(1, 256), min_size=2, max_size=8), st.data())
def test_server_that_goes_moves_its_own_keys_only_and_has_them_back(weights: list[int], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(weights) - 1))
    before, after = owners(pool(*weights)), owners(pool(*weights, down=[gone]))
    assert all(after[key] == name for key, name in before.items() if name != f"app/s{gone}")
    assert owners(pool(*weights)) == before


def test_heavier_server_takes_keys_and_gives_none() -> None:
    before, after = owners(pool(100, 100, 100)), owners(pool(100, 150, 100))
    assert all(after[key] in (name, "app/s1") for key, name in before.items())


@settings(max_examples=40)
@given(st.permutations(range(6)))
def test_order_of_the_list_does_not_matter(order: list[int]) -> None:
    servers = pool(100, 50, 100, 256, 1, 100)
    shuffled = [
        ServerState(place, servers[number].id, servers[number].weight, True) for place, number in enumerate(order)
    ]
    assert owners(shuffled) == owners(servers)


def test_without_servers_there_is_none() -> None:
    assert set(owners(pool(0, 100, down=[1])).values()) == {None}
