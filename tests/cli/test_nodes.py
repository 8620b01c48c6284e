"""nodes against the double of a node of a fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.harness import run
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.fleet_double import dns_report, fleet_of, member, member_state, roll, routes_report, three_nodes

ESCAPE = chr(27)


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


def test_nodes_are_a_table_with_totals_that_fits_120_columns(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes()
    done = lbapp(socket, "nodes")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "fleet prod, as node-a knows it, 3 of 3 nodes ready, synced, configuration f7 on 3 of 3"
    assert lines[1].split() == [
        "NODE",
        "STATE",
        "CONFIG",
        "CONN",
        "REQ/S",
        "SHARE",
        "ERR",
        "ROUTES",
        "DNS",
        "SEEN",
        "CLOCK",
    ]
    lb2 = lines[3].split()
    assert lb2[:10] == ["lb2", "ready", "f7", "210", "980", "33.3%", "1.0%", "announced", "2/2", "published"]
    assert lb2[-1] == "ok"
    assert lines[5].split() == ["total", "3", "of", "3", "630", "2940", "1.0%"]
    assert all(len(line) <= 120 for line in lines)


def test_what_is_wrong_at_a_node_is_a_line_of_its_own(double: EngineDouble, socket: Path) -> None:
    down = routes_report()
    down["sessions"][1] |= {"is_up": False, "state": "Connect"}
    state = member_state(
        ready=False, reasons=["no server of app is eligible"], announce=down, differs=2,
        dns=dns_report(state="failed", problem="192.0.2.53 refuses the key lbapp"),
    )  # fmt: skip
    double.fleet.status = fleet_of(
        member("node-a"),
        member("lb2", state=state),
        member("lb3", is_alive=False, seen_at=1.0),
        configuration=roll(results={"node-a": "", "lb2": "lbapp.toml:4: pool: there is no pool ap"}),
    )
    text = lbapp(socket, "nodes").stdout
    for line in (
        "lb2: not ready: no server of app is eligible",
        "lb2: session up2 is Connect",
        "lb2: 192.0.2.53 refuses the key lbapp",
        "lb2: does not serve by f7: lbapp.toml:4: pool: there is no pool ap",
        "lb2: 2 settings are other than the fleet's: there, lbapp fleet",
        "lb3: nothing has come of it for",
    ):
        assert line in text
    assert "1 of 3 nodes ready" in text
    assert "REFUSED by lb2" in text


def test_view_that_is_old_is_said_before_anything_else(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes(state="stale", age_s=90.0, problem="the store at 10.0.0.1:2379 does not answer")
    lines = lbapp(socket, "nodes").stdout.splitlines()
    assert "STORE STALE 1m30s" in lines[0]
    assert lines[1] == "the store at 10.0.0.1:2379 does not answer; the view is 1m30s old, and holds"


def test_node_that_is_alone_says_so_and_json_is_what_the_engine_said(double: EngineDouble, socket: Path) -> None:
    lines = lbapp(socket, "nodes").stdout.splitlines()
    assert lines[0] == "node-a is in no fleet: its configuration has no [cluster]"
    assert [line.split()[0] for line in lines[1:]] == ["NODE", "node-a", "total"]
    double.fleet.status = three_nodes()
    assert json.loads(lbapp(socket, "nodes", "--json").stdout) == double.fleet.status


def test_name_of_another_node_reaches_no_terminal_as_it_came(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = fleet_of(member(f"lb{ESCAPE}[2J"))
    assert ESCAPE not in lbapp(socket, "nodes").stdout
