"""Pools whose algorithm learns: what they may serve."""

from __future__ import annotations

from typing import Any

import pytest

from lbapp.config.learning import learning_rules
from lbapp.config.lines import Path as KeyPath
from lbapp.config.load import parse_configuration
from lbapp.model.errors import ConfigurationError

SERVER = '[[pool.server]]\nname = "s1"\naddress = "127.0.0.1:1"\n'
BESIDE = '[[pool]]\nname = "beside"\n' + SERVER


def listener(name: str, protocol: str, more: str) -> str:
    return f'[[listener]]\nname = "{name}"\nbind = "127.0.0.1:0"\nprotocol = "{protocol}"\n{more}\n'


def problems(algorithm: str, *listeners: str, beside: str = BESIDE) -> list[str]:
    text = "".join(listeners) + f'[[pool]]\nname = "app"\nalgorithm = "{algorithm}"\n{SERVER}{beside}'
    try:
        parse_configuration(text, "f")
    except ConfigurationError as error:
        return [f"{problem.key}: {problem.message}" for problem in error.problems]
    return []


WEB, RAW = listener("web", "http", 'pool = "app"'), listener("raw", "tcp", 'pool = "app"')


@pytest.mark.parametrize("algorithm", ["least_response_time", "prequal"])
def test_pool_that_learns_serves_listeners_of_one_protocol(algorithm: str) -> None:
    assert problems(algorithm, WEB, RAW) == [
        f"pool[0].algorithm: listener web speaks http and listener raw tcp: {algorithm} would take the time to connect for "
        "that of an answer; give each a pool of its own, or choose another algorithm"
    ]
    assert problems(algorithm, WEB, WEB.replace('"web"', '"other"')) == []
    assert problems(algorithm, RAW, RAW.replace('"raw"', '"other"')) == []


def test_pool_that_does_not_learn_may_serve_both() -> None:
    assert problems("least_connections", WEB, RAW) == []


@pytest.mark.parametrize(
    "other",
    [
        listener("other", "tcp", '[[listener.route]]\nsni = "a.example"\npool = "app"'),
        listener("other", "tcp", 'pool = "before"'),
    ],
    ids=["by name", "by failover"],
)
def test_pool_is_found_by_every_way_that_leads_to_it_over_tcp(other: str) -> None:
    beside = f'[[pool]]\nname = "before"\nfailover = "app"\n{SERVER}'
    (problem,) = problems("prequal", WEB, other, beside=beside)
    assert "listener web speaks http and listener other tcp" in problem


@pytest.mark.parametrize(
    "more",
    [
        'pool = "beside"\n[[listener.route]]\npath = "/a"\npool = "app"',
        'pool = "beside"\n[[listener.route]]\npath = "/a"\n'
        'split = [{ pool = "beside", weight = 1 }, { pool = "app", weight = 1 }]',
    ],
    ids=["route", "split"],
)
def test_pool_is_found_by_every_way_that_leads_to_it_over_http(more: str) -> None:
    (problem,) = problems("prequal", listener("web", "http", more), RAW)
    assert problem.startswith("pool[0].algorithm: ")


def test_data_of_any_shape_has_an_answer() -> None:
    here: KeyPath = ()
    pools: list[tuple[KeyPath, dict[str, Any]]] = [
        (here, {"name": 1, "algorithm": "prequal", "failover": "b"}),
        (here, {"name": "b", "failover": "b", "algorithm": 7}),
    ]
    listeners: list[tuple[KeyPath, dict[str, Any]]] = [
        (here, {"route": 1, "pool": []}),
        (here, {"protocol": [], "route": [1, {"split": {}, "pool": "b"}]}),
    ]
    assert list(learning_rules(pools, listeners)) == []
