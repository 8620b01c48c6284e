"""Nodes decide alike: with the same servers each owner, cookie and side of a split is the same, however a node came to know them.

A node has its servers in an order of its own, in rows of its own, with a random source of its own, and has been through states of
its own before. What may differ, and why, is in docs/persistence.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address, ip_address
from itertools import pairwise
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.engine.policy.actions import choose_share, client_position, split_salt
from lbapp.engine.policy.balance.base import Algorithm, NoLoad, ServerState
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.engine.policy.balance.maglev import hash_key
from lbapp.engine.policy.cookie import ServerCookie
from lbapp.engine.policy.eligibility import Candidate, eligible
from lbapp.engine.policy.persistence import FirstChoice, address_key, header_key
from lbapp.engine.wire.forwarding import client_address, client_key
from lbapp.model.actions import Share
from lbapp.model.entities import AlgorithmName
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType, PersistenceVerdict

HASHING: Final = (AlgorithmName.IP_HASH, AlgorithmName.HASH, AlgorithmName.RENDEZVOUS)
# Names that look alike to the checksum inside hash_key: whatever is decided by that alone is a tie between them.
TWINS: Final = ("app/sg804mv6y", "app/s38v67gtu")


@dataclass(frozen=True)
class Known:
    """A server as all nodes know it. `is_able`: neither DOWN, nor drained, nor in maintenance, nor ejected."""

    id: str
    weight: int
    is_able: bool
    share_permille: int = 1000  # during a slow start, which each node counts for itself


NAMES = st.one_of(st.sampled_from(TWINS), st.from_regex(r"app/[a-z0-9.-]{1,12}", fullmatch=True))
SERVERS = st.lists(
    st.builds(Known, NAMES, st.integers(0, 256), st.booleans(), st.integers(1, 1000)),
    min_size=1,
    max_size=12,
    unique_by=lambda server: server.id,
)
ADDRESSES = st.ip_addresses().map(lambda address: client_key(client_address((str(address), 1))))
KEYS = st.one_of(ADDRESSES, st.binary(max_size=40))


class Node:
    """One node's algorithm over the servers, and their names by its own rows."""

    def __init__(self, name: AlgorithmName, servers: Sequence[Known], random: Random, percent: int = 0) -> None:
        order = random.sample(list(servers), len(servers))
        rows = sorted(random.sample(range(1000), len(order)))
        self._names = {row: server.id for row, server in zip(rows, order, strict=True)}
        states = [
            ServerState(row, each.id, each.weight, each.is_able and each.weight > 0, random.randint(1, 1000))
            for row, each in zip(rows, order, strict=True)
        ]
        # What it has been through: states that come and go, and weights that were others for a while.
        past = [replace(each, is_eligible=random.random() < 0.5, weight=random.randint(1, 256)) for each in states]
        self._algorithm: Algorithm = build_algorithm(name, past, NoLoad(), random, percent)
        for number in range(random.randint(0, 2)):
            self._algorithm.update([replace(each, is_eligible=random.random() < 0.5) for each in past], float(number))
        self._algorithm.update(states, 9.0)

    def owner(self, key: bytes) -> str | None:
        row = self._algorithm.choose_server(key, 9.0)
        return None if row is None else self._names[row]

    def order(self, key: bytes) -> list[str]:
        """Return the servers that a key is tried at, one after the other."""
        rows: list[int] = []
        while (row := self._algorithm.choose_server(key, 9.0, tuple(rows))) is not None:
            rows.append(row)
        return [self._names[row] for row in rows]


@pytest.mark.parametrize("name", HASHING)
def test_servers_that_the_checksum_takes_for_one_have_the_same_order_on_every_node(name: AlgorithmName) -> None:
    assert hash_key(TWINS[0].encode()) == hash_key(TWINS[1].encode())
    # Most are down, so that hardly any key finds one that is not by its table.
    servers = [Known(f"app/s{number}", 256, is_able=False) for number in range(100)]
    servers += [Known(twin, 1, is_able=True) for twin in TWINS]
    nodes = [Node(name, servers, Random(seed)) for seed in range(16)]
    for key in (Random(number).randbytes(4) for number in range(20)):
        assert len({tuple(node.order(key)) for node in nodes}) == 1


@pytest.mark.parametrize("percent", [0, 125])
@pytest.mark.parametrize("name", HASHING)
@settings(max_examples=30)
@given(servers=SERVERS, keys=st.lists(KEYS, min_size=1, max_size=20), here=st.integers(), there=st.integers())
def test_owner_of_a_key_and_whom_it_is_tried_at_next_are_the_same_on_every_node(
    name: AlgorithmName, percent: int, servers: list[Known], keys: list[bytes], here: int, there: int
) -> None:
    one, other = (Node(name, servers, Random(seed), percent) for seed in (here, there))
    for key in keys:
        assert one.order(key) == other.order(key)
        assert set(one.order(key)) == {each.id for each in servers if each.is_able and each.weight}


@pytest.mark.parametrize("name", HASHING)
def test_hundred_thousand_clients_have_the_same_owner_on_every_node(name: AlgorithmName) -> None:
    servers = [Known(f"app/s{number}", 20 + number * 10, number != 3, 1 + number * 50) for number in range(10)]
    servers += [Known(twin, 100, is_able=True) for twin in TWINS]
    random = Random(8)
    keys = [random.randbytes(4) for _ in range(50_000)] + [random.randbytes(16) for _ in range(50_000)]
    nodes = [Node(name, servers, Random(seed)) for seed in (1, 2, 3)]
    first, *others = [[node.owner(key) for key in keys] for node in nodes]
    assert all(owners == first for owners in others)
    assert len(set(first)) >= 10


@given(st.ip_addresses(v=4), st.integers(0, 65535))
def test_ipv4_client_is_the_same_one_on_a_socket_of_either_family(address: IPv4Address, port: int) -> None:
    plain = client_key(client_address((str(address), port)))
    mapped = client_key(client_address((f"::ffff:{address}", port, 0, 0)))
    assert mapped == plain == address.packed


@settings(max_examples=60)
@given(
    SERVERS,
    st.lists(st.one_of(st.ip_addresses(), st.binary(min_size=1, max_size=60)), min_size=1, max_size=20),
    st.integers(),
    st.integers(8, 32),
    st.integers(16, 128),
)
def test_client_that_a_node_does_not_remember_gets_the_same_server_everywhere(
    servers: list[Known], clients: list[object], seed: int, prefix_4: int, prefix_6: int
) -> None:
    """By address, by network and by header; weights that an operator changed on one node move nobody."""
    random = Random(seed)

    def node() -> Callable[[bytes], str | None]:
        order = random.sample(servers, len(servers))
        rows = sorted(random.sample(range(1000), len(order)))
        names = {row: each.id for row, each in zip(rows, order, strict=True)}
        choice = FirstChoice([(row, each.id, each.weight) for row, each in zip(rows, order, strict=True)])
        choice.update(frozenset(random.sample(rows, random.randint(0, len(rows)))))
        choice.update(frozenset(row for row, each in zip(rows, order, strict=True) if each.is_able))
        return lambda key: None if (row := choice.choose_server(key)) is None else names[row]

    one, other = node(), node()
    for client in clients:
        key = (
            header_key(client)
            if isinstance(client, bytes)
            else address_key(ip_address(str(client)).packed, prefix_4, prefix_6)
        )
        assert one(key) == other(key)


KEY_1, KEY_2 = (PersistenceKey(name, name.encode() * 16) for name in ("2026-11", "2026-12"))
NOW_S: Final = 1_764_374_400.0


def cookie_of(servers: Sequence[Known], seed: int, *keys: PersistenceKey) -> tuple[ServerCookie, dict[str, int]]:
    random = Random(seed)
    order = random.sample(list(servers), len(servers))
    rows = {each.id: row for each, row in zip(order, random.sample(range(1000), len(order)), strict=True)}
    return ServerCookie("app", Persistence(PersistenceType.COOKIE, keys=keys), rows), rows


@given(SERVERS, st.integers(), st.integers(0, 3600), st.integers(0, 7200))
def test_cookie_of_one_node_names_the_same_server_on_another_also_while_keys_are_exchanged(
    servers: list[Known], seed: int, idle_s: int, age_s: int
) -> None:
    rollout: list[tuple[PersistenceKey, ...]] = [(KEY_1,), (KEY_1, KEY_2), (KEY_2, KEY_1), (KEY_2,)]
    for before, after in pairwise(rollout):  # nodes are at most one step apart
        for writes, reads in ((before, after), (after, before)):
            if writes[0] not in reads:  # the first step is to be everywhere before the second is begun anywhere
                continue
            (one, rows), (other, other_rows) = cookie_of(servers, seed, *writes), cookie_of(servers, seed + 1, *reads)
            for each in servers:
                value = one.write(rows[each.id], NOW_S, NOW_S - age_s)
                found = other.read(value, NOW_S + idle_s)
                assert (found.verdict, found.server) == (PersistenceVerdict.VALID, other_rows[each.id])
                assert found.is_of_first_key is (writes[0] == reads[0])
                again, _ = cookie_of(servers, seed + 2, *writes)
                assert again.read(value, NOW_S + idle_s).verdict is PersistenceVerdict.VALID


@given(st.lists(st.builds(Candidate, st.booleans(), st.booleans(), st.booleans()), max_size=10), st.data())
def test_who_is_eligible_does_not_depend_on_the_order_of_the_list(
    candidates: list[Candidate], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(candidates))))
    percent = data.draw(st.sampled_from([0, 50, 100]))
    here = eligible(candidates, percent)
    there = eligible([candidates[at] for at in order], percent)
    assert there.chosen == [here.chosen[at] for at in order]
    assert there.is_panic is here.is_panic


_PROCESS: Final = """
import json, random
from tests.engine.policy.test_nodes_alike import *
print(json.dumps(answers(random.Random())))
"""


def answers(random: Random) -> list[object]:
    """Return what a node decides of many clients; `random`: what is its own."""
    servers = [Known(f"app/s{number}", 20 + number * 10, number != 3) for number in range(10)]
    source = Random(4)
    keys = [source.randbytes(size) for _ in range(500) for size in (4, 16, 33)]
    nodes = [Node(name, servers, random) for name in HASHING]
    found: list[object] = [[node.owner(key) for key in keys] for node in nodes]
    order = random.sample(servers, 10)
    choice = FirstChoice([(row, each.id, each.weight) for row, each in enumerate(order)])
    found.append([None if (row := choice.choose_server(key)) is None else order[row].id for key in keys])
    cookie, rows = cookie_of(servers, random.getrandbits(32), KEY_1, KEY_2)
    found.append([cookie.write(rows[each.id], NOW_S, NOW_S).decode() for each in servers])
    shares = [Share("blue", 90), Share("green", 10)]
    salt = split_salt(random.sample(shares, 2))
    found.append([choose_share(shares, client_position(key, salt), lambda _: True) for key in keys])
    return found


def test_processes_with_other_hash_seeds_and_random_sources_decide_alike() -> None:
    here = json.loads(json.dumps(answers(Random(1))))
    for seed in ("0", "1", "4294967295"):
        run = partial(subprocess.run, capture_output=True, text=True, check=True, timeout=100)
        done = run([sys.executable, "-c", _PROCESS], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)})
        assert json.loads(done.stdout) == here
