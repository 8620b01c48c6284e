"""`lbapp stop` against a real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import running_bench

pytestmark = pytest.mark.system


def test_stop_returns_when_the_engine_is_gone(tmp_path: Path) -> None:
    with running_bench(tmp_path) as bench:
        result = bench.lbapp("stop", "--timeout", "5s")
        assert result.exit_code == 0
        assert result.stdout == f"stopped (pid {bench.engine.process.pid})\n"
        assert not bench.engine.control.exists()
        assert bench.engine.process.wait(25) == 0


def test_stop_waits_for_what_is_in_flight_but_not_for_ever(tmp_path: Path) -> None:
    with running_bench(tmp_path) as bench:
        bench.may_answer.clear()
        with bench.send_request() as client:
            result = bench.lbapp("stop", "--timeout", "500ms")
            client.recv(1000)
        assert result.exit_code == 0
        assert bench.engine.process.wait(25) == 0
