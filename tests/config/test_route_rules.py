"""Combinations of keys in a route that make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from lbapp.config.route_rules import route_rules
from tests.config.test_actions import problems_of, route

TWO = [{"pool": "a", "weight": 1}, {"pool": "b", "weight": 1}]


@pytest.mark.parametrize(
    "sound",
    [
        {"pool": "a"},
        {"split": TWO, "split_by": "request"},
        {"redirect": {"scheme": "https"}},
        {"respond": {"status": 204}},
        {"respond": 1},
        {"split": 1},
        {"pool": "a", "strip_prefix": "/a", "request_headers": {}},
    ],
)
def test_sound_route_has_no_problem(sound: dict[str, Any]) -> None:
    assert list(route_rules((), sound)) == []


@pytest.mark.parametrize(
    ("wrong", "path", "sentence"),
    [
        ({}, (), "the route does nothing"),
        (
            {"pool": "a", "redirect": {"port": 1}},
            ("redirect",),
            "the route has pool already; keep one of pool and redirect",
        ),
        ({"redirect": {"port": 1}, "strip_prefix": "/"}, ("strip_prefix",), "strip_prefix changes what a server gets"),
        ({"respond": {}, "request_headers": {}}, ("request_headers",), "request_headers changes what a server gets"),
        ({"pool": "a", "split_by": "client"}, ("split_by",), "beside split only"),
        ({"pool": "a", "strip_prefix": "/", "replace_prefix": {}}, ("replace_prefix",), "has strip_prefix already"),
        ({"split": TWO[:1]}, ("split",), "needs two pools"),
        ({"split": [{"pool": "a", "weight": 0}, {"pool": "b", "weight": 0}]}, ("split",), "every weight"),
        ({"split": [*TWO, TWO[0]]}, ("split", 2, "pool"), "has a share of this split already"),
        ({"redirect": {}}, ("redirect",), "leads to where the client is"),
        ({"redirect": {"status": 301}}, ("redirect",), "leads to where the client is"),
        ({"respond": {"status": 204, "body": "x"}}, ("respond", "body"), "has no body"),
    ],
)
def test_combination_without_sense_is_named_at_its_key(
    wrong: dict[str, Any], path: tuple[Any, ...], sentence: str
) -> None:
    ((found, message),) = route_rules((), wrong)
    assert found == path
    assert sentence in message


def test_pools_of_a_split_have_to_exist() -> None:
    problems = problems_of(route('split = [{ pool = "app", weight = 1 }, { pool = "canari", weight = 1 }]'))
    assert problems == ['listener[0].route[0].split[1].pool: there is no pool "canari"; did you mean "canary"?']


def test_tcp_listener_has_nothing_of_http() -> None:
    problems = problems_of('protocol = "tcp"\npool = "app"\nforwarding = {}\nhsts = { max_age = "1h" }')
    assert sorted(problems) == [
        "listener[0].forwarding: a tcp listener has no forwarding; remove the table",
        "listener[0].hsts: a tcp listener has no hsts; remove the table",
    ]
