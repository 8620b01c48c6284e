"""The wording of what the schema refuses."""

from __future__ import annotations

import re

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.errors import ConfigurationError, Problem
from tests.config.test_load import VALID, problems

LISTENER = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
POOL = '[[pool]]\nname = "app"\n'
OF_ANY_KIND = (
    "1",
    "-1",
    "1.5",
    "inf",
    "true",
    '""',
    '"x"',
    "[]",
    "[[]]",
    "[{}]",
    "{}",
    "{ x = 1 }",
    "1979-05-27",
    "07:32:00",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("list = 1\n" + LISTENER + POOL, ['f.toml:1: list: unknown key "list"; did you mean "listener"?']),
        (
            LISTENER + POOL + '"a\\nb" = 1',
            [
                'f.toml:7: pool[0]."a\\nb": unknown key "a\\nb"; allowed: algorithm, connections_max, discover, drain, '
                "failover, fleet_connections_max, hash, health_check, name, on_error, outlier, panic_threshold, persistence, "
                "proxy_protocol, queue, retry, server, slow_start, source, tcp, tls",
            ],
        ),
        (
            LISTENER + POOL + "health_check.pth = 1",
            ['f.toml:7: pool[0].health_check.pth: unknown key "pth"; did you mean "path"?'],
        ),
        (LISTENER + POOL + "health_check = 3", ["f.toml:7: pool[0].health_check: 3 is not accepted; allowed: a table"]),
        (LISTENER + POOL + "server = [[1]]", ["f.toml:7: pool[0].server[0]: a list is not accepted; allowed: a table"]),
        (
            LISTENER + POOL + "[pool.server]",
            [
                "f.toml:7: pool[0].server: a table is not accepted; "
                "allowed: a list of tables, each under [[pool.server]]",
            ],
        ),
        (
            LISTENER.replace('pool = "app"', "pool = 1") + POOL,
            ["f.toml:4: listener[0].pool: 1 is not accepted; allowed: text in quotes"],
        ),
        (
            LISTENER + POOL + "[[pool.server]]\nweight = 1",
            [
                "f.toml:7: pool[0].server[0].name: this key is missing",
                "f.toml:7: pool[0].server[0].address: this key is missing",
            ],
        ),
    ],
)
def test_refusal_is_worded_for_people(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def problems_if_any(text: str) -> list[Problem]:
    try:
        parse_configuration(text, "f.toml")
    except ConfigurationError as error:
        return error.problems
    return []


@pytest.mark.parametrize("value", OF_ANY_KIND)
def test_value_of_any_kind_at_any_key_is_accepted_or_refused_with_its_line(value: str) -> None:
    lines = VALID.split("\n")
    for number, line in enumerate(lines, 1):
        if match := re.match(r"(\w+) = ", line):
            text = "\n".join([*lines[: number - 1], f"{match[1]} = {value}", *lines[number:]])
            for problem in problems_if_any(text):
                assert problem.line
                assert problem.message.isprintable()
