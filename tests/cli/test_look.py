"""status and events against a real engine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.children import child
from tests.cli.harness import Bench

pytestmark = pytest.mark.system


def test_status_fits_eighty_columns_and_names_everything(bench: Bench) -> None:
    text = bench.lbapp("status").stdout
    assert max(len(line) for line in text.splitlines()) <= 80
    for word in ("web", "app/s1", "app/s2", "api/s1", "READY", "UP", "SERVING", "2 of 2 eligible"):
        assert word in text


def test_status_of_one_pool_leaves_out_the_rest(bench: Bench) -> None:
    text = bench.lbapp("status", "api").stdout
    assert "api/s1" in text
    assert "app/s1" not in text
    assert [pool["name"] for pool in json.loads(bench.lbapp("status", "api", "--json").stdout)["pools"]] == ["api"]


def test_unknown_pool_is_refused_with_the_known_ones(bench: Bench) -> None:
    result = bench.lbapp("status", "ape")
    assert result.exit_code == 1
    assert "Pools: app, api" in result.stderr


def test_events_say_what_and_who(bench: Bench) -> None:
    bench.lbapp("weight", "api/s1", "42")
    line = bench.lbapp("events", "-n", "1").stdout
    assert "weight_changed" in line
    assert "api/s1" in line
    assert " by " in line
    event = json.loads(bench.lbapp("events", "-n", "1", "--json").stdout)
    assert (event["before"], event["after"]) == (100, 42)


def test_followed_events_arrive_as_they_happen(bench: Bench) -> None:
    command = [sys.executable, "-m", "lbapp", "--socket", str(bench.engine.control), "events", "-f", "-n", "1"]
    with child(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        following.stdout.readline()
        bench.lbapp("weight", "app/s2", "17")
        assert "weight 17" in following.stdout.readline()
        following.send_signal(2)
        assert following.wait(10) == 0
