"""IP hash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.engine.policy.balance.base import Algorithm, ServerState
from lbapp.engine.policy.balance.maglev import build_table
from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import build, pool, state

KEYS = [Random(number).randbytes(4) for number in range(2_000)]
KEYS_6 = [Random(number).randbytes(16) for number in range(2_000)]


def made(servers: list[ServerState], seed: int = 1) -> Algorithm:
    return build(AlgorithmName.IP_HASH, servers, random=Random(seed))


def owners(algorithm: Algorithm, keys: list[bytes] = KEYS, excluded: tuple[int, ...] = ()) -> dict[bytes, int | None]:
    return {key: algorithm.choose_server(key, 0.0, excluded) for key in keys}


def test_client_keeps_its_server_in_every_worker_on_every_node_and_in_any_order_of_the_file() -> None:
    servers = pool(100, 100, 50, 100)
    here = owners(made(servers))
    assert owners(made(servers, seed=9)) == here
    assert owners(made(servers[::-1])) == here
    elsewhere = made([ServerState(10 - each.index, each.id, each.weight, True) for each in servers])
    assert {key: 10 - index for key, index in owners(elsewhere).items() if index is not None} == here


def test_hundred_thousand_keys_have_the_same_owner_for_any_order_of_the_list_and_stay_through_a_flap() -> None:
    servers = pool(*[100] * 10)
    random = Random(5)
    here, there = made(servers), made(random.sample(servers, 10))
    keys = [random.randbytes(4) for _ in range(100_000)]
    before = [here.choose_server(key, 0.0) for key in keys]
    assert before == [there.choose_server(key, 0.0) for key in keys]
    here.update(pool(*[100] * 10, down=[4]), 1.0)
    during = [here.choose_server(key, 1.0) for key in keys]
    assert all(old == new for old, new in zip(before, during, strict=True) if old != 4)
    here.update(servers, 2.0)
    assert [here.choose_server(key, 2.0) for key in keys] == before


def test_ipv6_clients_spread_too_and_shares_follow_weights() -> None:
    for keys in (KEYS, KEYS_6):
        counts = Counter(owners(made(pool(100, 100, 200)), keys).values())
        assert 0.45 < counts[2] / counts.total() < 0.55
        assert 0.2 < counts[0] / counts.total() < 0.3


@settings(max_examples=30)
@given(st.integers(2, 12), st.sets(st.integers(0, 11), max_size=9), st.integers(0, 11))
def test_server_that_goes_down_moves_only_its_own_clients_and_has_them_back(
    count: int, down: set[int], victim: int
) -> None:
    victim %= count
    down = {index for index in down if index < count} - {victim}
    algorithm = made(pool(*[100] * count, down=sorted(down)))
    keys = KEYS[:300]
    before = owners(algorithm, keys)
    algorithm.update(pool(*[100] * count, down=sorted(down | {victim})), 0.0)
    without = owners(algorithm, keys)
    assert all(without[key] == index for key, index in before.items() if index != victim)
    assert victim not in without.values()
    algorithm.update(pool(*[100] * count, down=sorted(down)), 0.0)
    assert owners(algorithm, keys) == before


def test_clients_of_a_server_that_is_down_spread_over_all_the_others() -> None:
    algorithm = made(pool(*[100] * 6))
    orphans = [key for key, index in owners(algorithm).items() if index == 0]
    algorithm.update(pool(*[100] * 6, down=[0]), 0.0)
    counts = Counter(owners(algorithm, orphans).values())
    assert set(counts) == {1, 2, 3, 4, 5}
    assert max(counts.values()) < 1.6 * min(counts.values())


def test_excluding_a_server_is_like_its_being_down() -> None:
    algorithm = made(pool(*[100] * 5))
    excluding = owners(algorithm, excluded=(2, 3))
    algorithm.update(pool(*[100] * 5, down=[2, 3]), 0.0)
    assert owners(algorithm) == excluding


def test_few_servers_left_of_many_share_the_clients_and_still_move_only_their_own() -> None:
    many = 150
    algorithm = made(pool(*[100] * many, down=range(3, many)))
    before = owners(algorithm)
    counts = Counter(before.values())
    assert set(counts) == {0, 1, 2}
    assert max(counts.values()) < 1.25 * min(counts.values())
    algorithm.update(pool(*[100] * many, down=[1, *range(3, many)]), 0.0)
    after = owners(algorithm)
    assert all(after[key] == index for key, index in before.items() if index != 1)
    assert owners(algorithm, excluded=(0, 2)) == dict.fromkeys(KEYS)


def test_flap_does_not_build_the_table_again_and_a_reweight_does(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []

    def counted(servers: Sequence[tuple[str, int]]) -> list[int]:
        built.append(len(servers))
        return build_table(servers)

    monkeypatch.setattr("lbapp.engine.policy.balance.key_hash.build_table", counted)
    algorithm = made(pool(100, 100))
    for servers in (pool(100, 100, down=[0]), pool(100, 100), pool(100, 100, down=[0, 1])):
        algorithm.update(servers, 0.0)
    assert len(built) == 1
    algorithm.update(pool(100, 200), 0.0)
    assert len(built) == 2


def test_reweight_and_weight_zero_count_at_the_next_pick() -> None:
    algorithm = made(pool(100, 100))
    algorithm.update(pool(100, 0), 0.0)
    assert set(owners(algorithm).values()) == {0}
    algorithm.update(pool(100, 256), 0.0)
    counts = Counter(owners(algorithm).values())
    assert 2.2 < counts[1] / counts[0] < 3.0


def test_server_that_moved_to_another_row_keeps_its_clients() -> None:
    algorithm = made([state(0), state(1)])
    before = owners(algorithm)
    algorithm.update([ServerState(5, "app/s0", 100, True), ServerState(6, "app/s1", 100, True)], 0.0)
    assert owners(algorithm) == {key: index + 5 for key, index in before.items() if index is not None}
