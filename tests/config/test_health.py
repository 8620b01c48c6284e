"""`[pool.health_check]`: what is accepted, what is refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lbapp.config.health import AgentTable, HealthCheckTable
from lbapp.config.load import load_configuration, parse_configuration
from lbapp.model.errors import ConfigurationError
from lbapp.model.health import AgentCheck, CheckType, HealthCheck, NotFoundMeans, StartPolicy

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "conf/lbapp.reference.toml"
LISTENER = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
EXAMPLES = {
    "type", "port", "tls", "host", "headers", "expect_headers", "expect_body", "expect_body_regex", "send", "expect",
    "down_interval",
}  # fmt: skip


def check(table: str, address: str = "127.0.0.1:1") -> HealthCheck:
    text = f'{LISTENER}[[pool]]\nname = "app"\n[pool.health_check]\n{table}\n[[pool.server]]\nname = "s"\n'
    return parse_configuration(f'{text}address = "{address}"\n', "f").pools[0].health_check


def refusal(table: str, address: str = "127.0.0.1:1") -> str:
    with pytest.raises(ConfigurationError) as caught:
        check(table, address)
    (problem,) = caught.value.problems
    assert problem.line > 0
    return f"{problem.key.removeprefix('pool[0].health_check')}: {problem.message}"


def shown() -> dict[str, Any]:
    """Return every key of a health check that the reference shows, of whatever pool."""
    found: dict[str, Any] = {}
    for pool in tomllib.loads(REFERENCE.read_text())["pool"]:
        found = {**pool.get("health_check", {}), **found}
    return found


def test_reference_shows_every_key_with_its_default() -> None:
    found, agent = shown(), shown()["agent"]
    assert set(found) == set(HealthCheckTable.model_fields)
    assert set(agent) == set(AgentTable.model_fields)
    for key, field in HealthCheckTable.model_fields.items():
        if key not in {*EXAMPLES, "agent"}:
            read = HealthCheckTable.model_validate({key: found[key]})
            assert getattr(read, key) == field.get_default(call_default_factory=True), key
    assert AgentTable.model_validate(agent) == AgentTable(port=agent["port"])
    assert any(pool.health_check.agent for pool in load_configuration(REFERENCE).pools)


def test_page_about_the_configuration_names_every_key() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    for key in (*HealthCheckTable.model_fields, *AgentTable.model_fields):
        assert re.search(rf"`(?:\[pool\.health_check\.)?{key}\]?`", page), key


def test_defaults_are_the_models() -> None:
    assert check("") == HealthCheck()


def test_every_key_reaches_its_own_field() -> None:
    found = check(
        'type = "http"\npath = "/h?x=1"\nmethod = "HEAD"\nhost = "a.example"\nheaders = { X-A = "b" }\nport = 9\ntls = true\n'
        'interval = "9s"\nfast_interval = "2s"\ndown_interval = "20s"\ntimeout = "3s"\njitter_percent = 20\nfall = 4\nrise = 5\n'
        'expect_status = [200, "300-399", "4xx"]\nexpect_headers = { X-Ready = "yes" }\nexpect_body = "ok"\n'
        'expect_body_regex = "o."\nstart = "checked"\nagent = { port = 7, interval = "1s", timeout = "500ms" }'
    )
    assert found == HealthCheck(
        CheckType.HTTP, "/h?x=1", 9.0, 3.0, 4, 5, 2.0, 20.0, 20, "HEAD", "a.example", (("x-a", "b"),),
        ((200, 200), (300, 399), (400, 499)), "ok", "o.", (("x-ready", "yes"),), 9, True,
        start=StartPolicy.CHECKED, agent=AgentCheck(7, 1.0, 0.5),
    )  # fmt: skip
    assert check('send = "a"\nexpect = "b"') == HealthCheck(send="a", expect="b")
    found = check('type = "http"\nnot_found = "no_new_clients"\nexpect_status = "2xx"')
    assert (found.not_found, found.expect_status) == (NotFoundMeans.NO_NEW_CLIENTS, ((200, 299),))


@pytest.mark.parametrize(
    "value", ['"abc"', "99", "600", '"300-200"', "[]", "true", "2.5", '["2xx", "x"]', '"200 - 300"']
)
def test_status_is_a_number_a_range_or_a_class(value: str) -> None:
    assert refusal(f'type = "http"\nexpect_status = {value}').startswith(".expect_status: ")


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('path = "/x"', "path"),
        ('type = "tcp"\nexpect_body = "x"', "expect_body"),
        ('type = "http"\nsend = "x"', "send"),
        ('type = "none"\ninterval = "1s"', "interval"),
        ('type = "none"\npath = "/"', "path"),
    ],
)
def test_key_without_a_meaning_is_refused(table: str, key: str) -> None:
    assert refusal(table).startswith(f".{key}: {key} has a meaning with type ")


def test_combinations_that_make_no_sense_are_refused() -> None:
    assert refusal('type = "none"\nstart = "checked"').startswith(".start: without a check no server")
    assert refusal('interval = "1s"\nfast_interval = "2s"').startswith(
        ".fast_interval: it is longer than the interval, 1s"
    )
    assert refusal('interval = "500ms"\nfast_interval = "1s"').startswith(".fast_interval: ")
    found = refusal('type = "http"\nnot_found = "no_new_clients"\nexpect_status = "200-404"')
    assert found.startswith(".not_found: 404 is one of the statuses")


def test_short_interval_alone_is_fast_enough() -> None:
    assert check('interval = "100ms"').interval_s == 0.1


@pytest.mark.parametrize("table", ["port = 9", "agent = { port = 9 }"])
def test_unix_socket_has_no_other_port(table: str) -> None:
    assert "a server on a Unix socket has no other port" in refusal(table, "unix:/run/app.sock")


@pytest.mark.parametrize("value", ['"x"', '"/a b"', "7", '""', '"/\\u00e4"'])
def test_path_is_one(value: str) -> None:
    assert refusal(f'type = "http"\npath = {value}').startswith(".path: ")
