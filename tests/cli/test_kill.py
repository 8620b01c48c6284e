"""kill against a real engine."""

from __future__ import annotations

import json

import pytest

from tests.cli.harness import Bench
from tests.system.harness import wait_for

pytestmark = pytest.mark.system


def test_what_is_in_flight_at_servers_is_ended_and_how_much_that_was_is_said(bench: Bench) -> None:
    bench.may_answer.clear()
    try:
        with bench.send_request() as one, bench.send_request() as two:

            def in_flight() -> dict[str, int]:
                return {name: bench.engine.server(name)["in_flight"] for name in ("app/s1", "app/s2")}

            wait_for(lambda: sum(in_flight().values()) == 2)
            before = in_flight()
            result = bench.lbapp("kill", "app/s1", "--reason", "it hangs")
            assert (result.exit_code, result.stdout) == (0, f"app/s1: {before['app/s1']} in flight ended\n")
            rest = json.loads(bench.lbapp("kill", "app", "--json").stdout)
            assert rest["servers"] == [
                {"server": "app/s1", "closed": 0},
                {"server": "app/s2", "closed": before["app/s2"]},
            ]
            assert {client.recv(1000)[:12] for client in (one, two)} == {b"HTTP/1.1 503"}
    finally:
        bench.may_answer.set()
    assert "app/s1 ended by force: it hangs" in bench.lbapp("events", "-n", "5").stdout


def test_nothing_is_ended_when_one_name_is_unknown(bench: Bench) -> None:
    result = bench.lbapp("kill", "app/s1", "app/s9")
    assert (result.exit_code, "no server is named app/s9" in result.stderr) == (1, True)
