"""The demo's configuration."""

from __future__ import annotations

from lbapp.cli.demo.configuration import configuration
from lbapp.cli.demo.servers import ECHOES, SPEEDS_S
from lbapp.config.load import parse_configuration


def test_configuration_is_valid_and_stays_on_loopback() -> None:
    ports = {name: 9000 + number for number, name in enumerate([*SPEEDS_S, *ECHOES])}
    parsed = parse_configuration(configuration(ports, "/tmp"), "demo")
    assert {bind.host for listener in parsed.listeners for bind in listener.binds} == {"127.0.0.1"}
    assert {bind.port for listener in parsed.listeners for bind in listener.binds} == {0}
    assert {server.host for server in parsed.servers} == {"127.0.0.1"}
    assert {server.port for server in parsed.servers} == set(ports.values())
