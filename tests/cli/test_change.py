"""ready, drain, maint and weight against a real engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from tests.cli.harness import Bench
from tests.system.harness import wait_for

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def ready_again(bench: Bench) -> Iterator[None]:
    yield
    bench.may_answer.set()
    assert bench.lbapp("ready", "*").exit_code == 0
    assert bench.lbapp("weight", "*", "100").exit_code == 0


def test_globs_choose_servers_each_once(bench: Bench) -> None:
    result = bench.lbapp("maint", "app/*", "app/s1", "--force")
    assert result.exit_code == 0
    assert result.stdout == "app/s1: state ready -> maint\napp/s2: state ready -> maint\n"
    assert bench.engine.server("app/s2")["admin"] == "maint"
    assert bench.engine.server("api/s1")["admin"] == "ready"


def test_nothing_changes_when_one_name_is_unknown(bench: Bench) -> None:
    result = bench.lbapp("maint", "app/s1", "app/s3")
    assert result.exit_code == 1
    assert "no server is named app/s3. Did you mean" in result.stderr
    assert bench.engine.server("app/s1")["admin"] == "ready"


def test_pool_alone_means_all_of_its_servers(bench: Bench) -> None:
    assert bench.lbapp("maint", "app", "--force").exit_code == 0
    assert {server["admin"] for server in bench.engine.status()["pools"][0]["servers"]} == {"maint"}
    assert "no server is named ap. Did you mean app or api?" in bench.lbapp("ready", "ap").stderr


def test_node_can_be_drained_and_made_ready_but_not_put_into_maintenance(bench: Bench) -> None:
    assert bench.lbapp("drain", "--node").exit_code == 0
    assert bench.lbapp("ready", "--node").stdout == "node: state drain -> ready\n"
    refused = bench.lbapp("maint", "--node")
    assert (refused.exit_code, "No such option" in refused.stderr) == (2, True)
    assert bench.lbapp("maint").exit_code == 2
    assert "--node" not in bench.lbapp("maint", "--help").stdout


def test_weight_is_in_force_and_shown_beside_the_file(bench: Bench) -> None:
    result = bench.lbapp("weight", "app/s1", "7", "--json")
    assert json.loads(result.stdout)[0]["after"]["weight"] == 7
    assert bench.engine.server("app/s1")["weight"] == 7
    assert "weight 100 in file" in bench.lbapp("status", "app").stdout


def test_repeating_a_change_says_that_nothing_changed(bench: Bench) -> None:
    assert bench.lbapp("ready", "app/s1").stdout == "app/s1: as it was\n"


def test_drain_waits_for_what_is_in_flight(bench: Bench) -> None:
    bench.may_answer.clear()
    with bench.send_request() as client:
        wait_for(lambda: sum(bench.engine.server(f"app/{name}")["in_flight"] for name in ("s1", "s2")) == 1)
        threading.Timer(0.6, bench.may_answer.set).start()
        result = bench.lbapp("drain", "app/*", "--wait", "--force")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    assert result.exit_code == 0
    assert "draining 1 of 2: 1 in flight" in result.stderr
    assert result.stdout.endswith("drained: app/s1, app/s2\n")


def test_drain_that_had_to_be_forced_fails(bench: Bench) -> None:
    bench.may_answer.clear()
    with bench.send_request():
        wait_for(lambda: sum(bench.engine.server(f"app/{name}")["in_flight"] for name in ("s1", "s2")) == 1)
        result = bench.lbapp("drain", "app/*", "--timeout", "400ms", "--wait", "--force")
    assert result.exit_code == 1
    assert "closed by force" in result.stderr


def end_the_drain(bench: Bench) -> None:
    """Do what somebody else does at another terminal, once the drain is there."""
    wait_for(lambda: all(bench.engine.server(f"app/{name}")["admin"] == "drain" for name in ("s1", "s2")))
    with bench.engine.client() as client:
        client.patch_servers({"servers": ["app/s1", "app/s2"], "state": "ready"})


def test_drain_that_somebody_ends_is_not_called_drained(bench: Bench) -> None:
    bench.may_answer.clear()
    with bench.send_request():
        wait_for(lambda: sum(bench.engine.server(f"app/{name}")["in_flight"] for name in ("s1", "s2")) == 1)
        other = threading.Thread(target=end_the_drain, args=(bench,))
        other.start()
        result = bench.lbapp("drain", "app/*", "--wait", "--force")
        other.join(20)
    assert result.exit_code == 1
    assert "ended by somebody else" in result.stderr


def test_dry_run_of_the_node_is_refused_and_changes_nothing(bench: Bench) -> None:
    for verb in ("drain", "ready"):
        refused = bench.lbapp(verb, "--node", "--dry-run")
        assert refused.exit_code == 2
        assert "--dry-run is about servers" in refused.stderr
    assert bench.engine.status()["engine"]["drain"] is None
