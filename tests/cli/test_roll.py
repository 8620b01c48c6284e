"""reload --fleet by the double of a node of a fleet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.harness import run
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.fleet_double import GONE, three_nodes


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def double(socket: Path) -> Iterator[EngineDouble]:
    engine = EngineDouble()
    engine.fleet.status = three_nodes()
    with answering(engine, socket):
        yield engine


def lbapp(socket: Path, *arguments: str) -> Result:
    return run("--socket", str(socket), *arguments)


def test_configuration_is_on_its_way_to_every_node_and_that_is_said(double: EngineDouble, socket: Path) -> None:
    done = lbapp(socket, "reload", "--fleet", "--reason", "two servers more")
    assert done.exit_code == 0
    assert done.stdout == "configuration f8 of the fleet is on its way to all nodes at once: lbapp nodes\n"
    assert double.fleet.published == [{"mode": "all", "reason": "two servers more"}]
    done = lbapp(socket, "reload", "--fleet", "--rolling")
    assert done.stdout.endswith(" of the fleet is on its way to node-a, lb2, lb3: lbapp nodes\n")


def test_configuration_that_is_deleted_while_it_is_waited_for_is_not_waited_for_any_more(
    double: EngineDouble, socket: Path
) -> None:
    double.fleet.results = [{"node-a": ""}, GONE]
    done = lbapp(socket, "reload", "--fleet", "--wait")
    assert done.exit_code == 1
    assert "configuration f8 was deleted from the store, and not by lbapp. See: lbapp nodes" in done.stderr


def test_roll_is_followed_node_by_node_until_all_serve_by_it(double: EngineDouble, socket: Path) -> None:
    double.fleet.results = [{"node-a": ""}, {"node-a": "", "lb2": ""}, {"node-a": "", "lb2": "", "lb3": ""}]
    done = lbapp(socket, "reload", "--fleet", "--rolling", "--wait")
    assert done.exit_code == 0
    assert double.fleet.published[0]["mode"] == "rolling"
    assert "configuration f8 on 1 of 3, rolling: lb2, lb3 to come" in done.stderr
    assert done.stdout == "configuration f8 on 3 of 3\n"


def test_node_that_cannot_serve_by_it_shows_in_the_exit_status_with_its_reason(
    double: EngineDouble, socket: Path
) -> None:
    double.fleet.results = [{"node-a": "", "lb2": "lbapp.toml:4: there is no pool ap", "lb3": ""}]
    done = lbapp(socket, "reload", "--fleet", "--wait")
    assert done.exit_code == 1
    assert "lb2 does not serve by it: lbapp.toml:4: there is no pool ap" in done.stderr
    assert "configuration f8 on 2 of 3, REFUSED by lb2" in done.stdout


def test_silent_store_publishes_nothing(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes(state="stale", age_s=30.0)
    done = lbapp(socket, "reload", "--fleet")
    assert done.exit_code == 1
    assert "the store does not answer, so nothing was changed" in done.stderr
