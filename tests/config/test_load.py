"""Configurations: what is accepted, and what is said of what is not."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.config.load import load_configuration, parse_configuration
from lbapp.model.entities import AlgorithmName, Bind, CheckType, Protocol
from lbapp.model.errors import ConfigurationError

VALID = """\
[engine]
workers = 3

[limits]
connect_timeout = "250ms"
head_size_max = "32KiB"

[[listener]]
name = "web"
bind = ["0.0.0.0:8080", "[::]:8080", "unix:/run/web.sock"]
pool = "app"

[[listener.route]]
host = "API.example.com"
headers = { X-V = "2" }
pool = "api"

[[listener]]
name = "raw"
bind = "127.0.0.1:9000"
protocol = "tcp"
pool = "api"

[[pool]]
name = "app"
algorithm = "ip_hash"

[pool.health_check]
type = "http"
path = "/healthz"
interval = "1.5s"

[pool.drain]
timeout = "5m"

[[pool.server]]
name = "s1"
address = "[::1]:9001"
weight = 7

[[pool]]
name = "api"

[[pool.server]]
name = "s1"
address = "backend.example.com:80"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text, "f.toml")
    return [str(problem) for problem in caught.value.problems]


def test_whole_configuration_becomes_the_model() -> None:
    configuration = parse_configuration(VALID, "f.toml")
    web, raw = configuration.listeners
    app, api = configuration.pools
    assert configuration.engine.workers == 3
    assert (configuration.limits.connect_timeout_s, configuration.limits.head_bytes_max) == (0.25, 32 * 1024)
    assert web.binds == (Bind("0.0.0.0", 8080), Bind("::", 8080), Bind(path="/run/web.sock"))
    assert web.routes[0].host == "api.example.com"
    assert web.routes[0].headers == (("x-v", "2"),)
    assert (raw.protocol, raw.pool) == (Protocol.TCP, "api")
    assert (app.algorithm, app.health_check.type, app.health_check.interval_s) == (
        AlgorithmName.IP_HASH,
        CheckType.HTTP,
        1.5,
    )
    assert app.drain_timeout_s == 300.0
    assert [server.address for server in configuration.servers] == ["[::1]:9001", "backend.example.com:80"]
    assert configuration.servers[0].weight == 7
    assert api.servers[0].is_named


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("workers = 3", "wokers = 3", 'f.toml:2: engine.wokers: unknown key "wokers"; did you mean "workers"?'),
        ('"250ms"', "250", "f.toml:5: limits.connect_timeout: 250 is not a duration;"),
        ('"250ms"', '"0s"', "f.toml:5: limits.connect_timeout: '0s' is no time at all; allowed: more than 0"),
        ('"32KiB"', '"32"', "f.toml:6: limits.head_size_max: '32' is not a size;"),
        ('name = "raw"', 'name = "web"', 'f.toml:19: listener[1].name: the name "web" is taken already'),
        (
            '"127.0.0.1:9000"',
            '"0.0.0.0:8080"',
            "f.toml:20: listener[1].bind: 0.0.0.0:8080 is taken by listener web already",
        ),
        ('"127.0.0.1:9000"', '"127.0.0.1"', "f.toml:20: listener[1].bind: '127.0.0.1' is not an address;"),
        (
            'protocol = "tcp"',
            'protocol = "udp"',
            "f.toml:21: listener[1].protocol: 'udp' is not known; allowed: 'http' or 'tcp'",
        ),
        ('pool = "app"', 'pool = "ap"', 'f.toml:11: listener[0].pool: there is no pool "ap"; did you mean "app"?'),
        ('"ip_hash"', '"iphash"', "f.toml:26: pool[0].algorithm: 'iphash' is not known; allowed: "),
        (
            "weight = 7",
            "weight = 999",
            "f.toml:39: pool[0].server[0].weight: 999 is too large; allowed: 0 to 256",
        ),
        (
            "weight = 7",
            'weight = "7"',
            "f.toml:39: pool[0].server[0].weight: '7' is not accepted; allowed: a whole number",
        ),
        ('"[::1]:9001"', '"[::1]:0"', "f.toml:38: pool[0].server[0].address: '[::1]:0' is not an address;"),
        (
            "[pool.drain]",
            '[pool.persistence]\ntype = "cooky"\n[pool.drain]',
            "f.toml:34: pool[0].persistence.type: 'cooky' is not known; allowed: 'cookie', 'ip' or 'header'",
        ),
        ('name = "api"\n', "", "f.toml:41: pool[1].name: this key is missing"),
        ("workers = 3", "workers = ", "f.toml:2: not valid TOML: Invalid value"),
    ],
)
def test_problem_is_named_with_its_line_and_what_is_allowed(old: str, new: str, expected: str) -> None:
    assert old in VALID
    found = problems(VALID.replace(old, new, 1))
    assert any(problem.startswith(expected) for problem in found), found


def test_all_problems_are_found_at_once_in_the_order_of_lines() -> None:
    text = (
        VALID.replace("workers = 3", "wokers = 3").replace("weight = 7", "weight = -1").replace('"5m"', '"5 minutes"')
    )
    assert [problem.split(":")[1] for problem in problems(text)] == ["2", "34", "39"]


def test_problems_between_tables_are_found_beside_problems_within() -> None:
    text = VALID.replace("weight = 7", "weight = 999").replace('pool = "app"', 'pool = "ap"', 1)
    text = text.replace('name = "raw"', 'name = "web"').replace('"ip_hash"', '"iphash"')
    assert [problem.split(":")[1] for problem in problems(text)] == ["11", "19", "26", "39"]


def test_byte_order_mark_and_line_ends_of_other_systems_are_accepted() -> None:
    assert parse_configuration("\ufeff" + VALID.replace("\n", "\r\n"), "f.toml") == parse_configuration(VALID, "f.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f.toml: listener: there is no listener; allowed: one or more, each under [[listener]]"),
        ("\na = " + "[" * 5000, "f.toml: not valid TOML: nested too deeply"),
        ("\na = " + "9" * 5000, "f.toml:2: not valid TOML: a number has too many digits"),
        ('a = 1\nb = """\n', "f.toml:2: not valid TOML: Unterminated string"),
    ],
)
def test_file_without_any_sense_gets_one_sentence(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_line_of_what_is_not_utf8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_bytes(b'# one\n# two\nname = "\xe9"\n')
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(file)
    assert str(caught.value.problems[0]).startswith(f"{file}:3: the file is not UTF-8 text")


def test_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigurationError, match=said):
            load_configuration(path)
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_configuration(binary)


@settings(max_examples=150, derandomize=True)
@given(st.integers(0, len(VALID) - 1), st.integers(0, 30), st.text(max_size=8))
def test_damaged_file_never_raises_anything_else(start: int, length: int, inserted: str) -> None:
    text = VALID[:start] + inserted + VALID[start + length :]
    with contextlib.suppress(ConfigurationError):
        parse_configuration(text, "f.toml")
