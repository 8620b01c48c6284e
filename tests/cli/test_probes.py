"""check-now and probes against a real engine."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.harness import Bench
from tests.system.harness import wait_for

pytestmark = pytest.mark.system


def test_servers_are_checked_at_once_and_what_was_found_is_said(bench: Bench) -> None:
    before = bench.lbapp("probes", "app/s1", "--json")
    result = bench.lbapp("check-now", "app/*")
    assert result.exit_code == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert re.fullmatch(r"app/s1: well: connected \(connect, .*s\); \d+ in a row", first), first
    assert second.startswith("app/s2: well: ")
    (now,) = json.loads(bench.lbapp("probes", "app/s1", "--json").stdout)
    assert len(now["probes"]) > len(json.loads(before.stdout)[0]["probes"])
    assert now["probes"][-1]["is_success"] is True


def test_server_that_cannot_be_checked_is_said_and_shows_in_the_status(bench: Bench) -> None:
    assert bench.lbapp("maint", "app/s1").exit_code == 0
    try:
        result = bench.lbapp("check-now", "app", "--json")
        assert result.exit_code == 1
        first, second = json.loads(result.stdout)
        assert (first["server"], first["probe"]) == ("app/s1", None)
        assert first["refused"].startswith("app/s1 is in maintenance: it is not checked. End that first: ")
        assert (second["probe"]["is_success"], second["refused"]) == (True, None)
        assert "app/s1: not checked: app/s1 is in maintenance" in bench.lbapp("check-now", "app/s1").stdout
    finally:
        assert bench.lbapp("ready", "app/s1").exit_code == 0
    wait_for(lambda: bench.engine.server("app/s1")["health"] == "up")


def test_probes_that_found_the_same_are_one_line(bench: Bench) -> None:
    result = bench.lbapp("probes", "api")
    assert result.exit_code == 0
    head, row = result.stdout.splitlines()
    assert head.split() == ["SERVER", "LAST", "TIMES", "FOUND", "LAYER", "TOOK"]
    assert row.startswith("api/s1")
    assert "connected" in row
