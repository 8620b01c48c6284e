"""What a pool takes, who waits, and who takes over: what is accepted, what is refused."""

from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.capacity import UNLIMITED, Capacity, Queue
from lbapp.model.entities import Pool
from lbapp.model.errors import ConfigurationError

LISTENER = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
SERVER = '[[pool.server]]\nname = "s1"\naddress = "127.0.0.1:1"\n'


def pools(text: str) -> tuple[Pool, ...]:
    return parse_configuration(f"{LISTENER}{text}", "f").pools


def app(keys: str = "", server: str = SERVER) -> Pool:
    return pools(f'[[pool]]\nname = "app"\n{keys}\n{server}')[0]


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        pools(text)
    (problem,) = caught.value.problems
    assert problem.line > 0
    return f"{problem.key}: {problem.message}"


def test_nothing_is_limited_that_was_not_asked_to_be() -> None:
    pool = app()
    assert pool.capacity == UNLIMITED
    assert not pool.is_limited
    assert not pool.servers[0].is_backup


def test_pool_and_servers_have_limits_of_their_own() -> None:
    pool = app("connections_max = 500\n[pool.queue]\nlength_max = 7\ntimeout = '250ms'", SERVER + "connections_max = 9")
    assert pool.capacity == Capacity(500, Queue(7, 0.25))
    assert pool.servers[0].connections_max == 9
    assert pool.is_limited


@pytest.mark.parametrize("value", ["-1", '"5"', "1.5", "true", "1000001"])
def test_limit_is_a_whole_number(value: str) -> None:
    assert refusal(f'[[pool]]\nname = "app"\nconnections_max = {value}\n').startswith("pool[0].connections_max: ")
    found = refusal(f'[[pool]]\nname = "app"\n{SERVER}connections_max = {value}\n')
    assert found.startswith("pool[0].server[0].connections_max: ")


def test_queue_without_a_limit_has_nobody_in_it() -> None:
    found = refusal(f'[[pool]]\nname = "app"\n[pool.queue]\ntimeout = "1s"\n{SERVER}')
    assert found.startswith("pool[0].queue: nobody waits where there is room for all; give")
    assert app('[pool.queue]\ntimeout = "1s"', SERVER + "connections_max = 3").capacity.queue.timeout_s == 1


def test_somebody_has_to_be_no_backup() -> None:
    found = refusal(f'[[pool]]\nname = "app"\n{SERVER}backup = true\n')
    assert found == "pool[0].server: every server of the pool is a backup; leave out backup at one at least"


def test_pool_that_takes_over_has_to_be_there() -> None:
    found = refusal('[[pool]]\nname = "app"\nfailover = "spair"\n[[pool]]\nname = "spare"\n')
    assert found == 'pool[0].failover: there is no pool "spair"; did you mean "spare"?'


def test_pools_take_over_one_after_the_other() -> None:
    text = "".join(
        f'[[pool]]\nname = "{name}"\n{f"failover = {other!r}" if other else ""}\n'
        for name, other in (("app", "b"), ("b", "c"), ("c", ""), ("d", "b"))
    )
    assert [pool.capacity.failover for pool in pools(text)] == ["b", "c", None, "b"]


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_circle_helps_nobody(names: str) -> None:
    text = f"{LISTENER.replace('app', 'a')}" + "".join(
        f'[[pool]]\nname = "{name}"\nfailover = "{names[(at + 1) % len(names)]}"\n' for at, name in enumerate(names)
    )
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text, "f")
    assert len(caught.value.problems) == len(names)
    assert " -> ".join([*names, "a"]) in caught.value.problems[0].message
