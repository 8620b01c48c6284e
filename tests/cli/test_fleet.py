"""fleet and fleet stop-roll against the double of a node of a fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.harness import run
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.fleet_double import intent, roll, three_nodes


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def double(socket: Path) -> Iterator[EngineDouble]:
    engine = EngineDouble()
    with answering(engine, socket):
        yield engine


def lbapp(socket: Path, *arguments: str) -> Result:
    return run("--socket", str(socket), *arguments)


def test_what_is_wanted_of_all_nodes_is_listed_with_what_is_here(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes(
        intents=[
            intent("app/s1", "state", "drain", "drain"),
            intent("app/s2", "weight", 50, 100),
            intent("app/s9", "weight", 50, None),
        ]
    )
    done = lbapp(socket, "fleet")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[1].startswith("configuration f7 by alice@node-a ")
    assert lines[1].endswith(", at once")
    assert lines[3].split()[:4] == ["app/s1", "state", "drain", "drain"]
    assert lines[4].split()[:4] == ["app/s2", "weight", "50", "100!"]
    assert lines[5].split()[:5] == ["app/s9", "weight", "50", "not", "there"]
    assert "alice@lb2 kernel update" in lines[4]
    assert lines[6] == "1 of them is other on node-a (!)"


def test_configuration_is_shown_with_its_revision_and_who_has_only_begun(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes(configuration=roll(revision=4711, begun={"lb3": 1_700_000_000.0}, reason="more"))
    _, first, second, *_ = lbapp(socket, "fleet").stdout.splitlines()
    assert first.endswith(", at once, revision 4711, more")
    assert second.startswith("  lb3 has begun to serve by it 2023-11-1")


def test_fleet_of_which_nothing_is_wanted_says_so(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes(configuration=None)
    assert "nothing is wanted of all nodes beyond their files" in lbapp(socket, "fleet").stdout
    double.fleet.status = three_nodes(intents=[intent("app/s1", "state", "drain", "drain")])
    assert "all of it is so on node-a" in lbapp(socket, "fleet").stdout
    assert json.loads(lbapp(socket, "fleet", "--json").stdout)["intents"][0]["on"] == "app/s1"


def test_node_that_is_alone_has_no_fleet(double: EngineDouble, socket: Path) -> None:
    assert lbapp(socket, "fleet").stdout == "node-a is in no fleet: its configuration has no [cluster]\n"


def test_roll_is_stopped_with_a_reason_and_says_who_may_serve_by_it(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes(configuration=roll(number=8, mode="rolling", reached=2, results={"node-a": ""}))
    done = lbapp(socket, "fleet", "stop-roll", "--reason", "p99 rose")
    assert done.exit_code == 0
    assert done.stdout == "the roll of configuration f8 goes no further: node-a, lb2 may serve by it, not lb3\n"
    assert double.fleet.stops == [{"reason": "p99 rose"}]


def test_stop_without_a_roll_is_refused(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes()
    done = lbapp(socket, "fleet", "stop-roll")
    assert done.exit_code == 1
    assert "no configuration goes from node to node now" in done.stderr
