"""drain --node and ready --node, of this node and of another, by the double of a node of a fleet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.harness import run
from tests.system.harness import wait_for
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.fleet_double import node_drain, three_nodes


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


def drain_of(double: EngineDouble, name: str) -> object:
    state = double.fleet.member(name)["state"]
    assert state is not None
    return state["drain"]


def test_another_node_is_drained_and_made_ready_by_its_name(double: EngineDouble, socket: Path) -> None:
    done = lbapp(socket, "drain", "--node", "lb2", "--timeout", "2m", "--then-stop", "--reason", "kernel")
    assert (done.exit_code, done.stdout) == (0, "node lb2: state ready -> drain\n")
    body = double.changing.asked[-1][2]
    assert (body["node"], body["drain_timeout_s"], body["then_stop"], body["reason"]) == ("lb2", 120.0, True, "kernel")
    assert drain_of(double, "lb2")
    assert double.node_state == "ready"
    assert lbapp(socket, "ready", "--node", "lb2").stdout == "node lb2: state drain -> ready\n"
    assert drain_of(double, "lb2") is None


def test_without_a_name_it_is_this_node(double: EngineDouble, socket: Path) -> None:
    assert lbapp(socket, "drain", "--node").exit_code == 0
    assert double.node_state == "drain"
    assert "node" not in double.changing.asked[-1][2]
    assert lbapp(socket, "ready", "--node").stdout == "node: state drain -> ready\n"


def test_drain_that_would_leave_too_few_nodes_is_refused_without_force(double: EngineDouble, socket: Path) -> None:
    double.fleet.quorum = "1 of 3 nodes would be ready then, fewer than 2"
    done = lbapp(socket, "drain", "--node", "lb2")
    assert done.exit_code == 1
    assert "1 of 3 nodes would be ready then, fewer than 2. Use --force" in done.stderr
    assert lbapp(socket, "drain", "--node", "lb2", "--force").exit_code == 0
    assert double.changing.asked[-1][2]["force"] is True


def test_wait_shows_the_steps_of_another_node_until_it_is_drained(double: EngineDouble, socket: Path) -> None:
    def go_on() -> None:
        wait_for(lambda: drain_of(double, "lb2"))
        asked = double.fleet.asked
        wait_for(lambda: double.fleet.asked > asked + 1)
        double.fleet.member("lb2")["state"]["drain"] = node_drain(phase="drained", step="drained", connections=0)  # type: ignore[index]  # it has said something

    other = threading.Thread(target=go_on)
    other.start()
    done = lbapp(socket, "drain", "--node", "lb2", "--wait")
    other.join(20)
    assert done.exit_code == 0
    assert "draining node lb2: step 1 of 5: its records leave DNS; resolvers still know its addresses" in done.stderr
    assert "7 connections, 3 in flight" in done.stderr
    assert done.stdout.endswith("drained: no client is connected\n")


def test_node_that_leaves_while_it_is_waited_for_is_said(double: EngineDouble, socket: Path) -> None:
    def leave() -> None:
        wait_for(lambda: drain_of(double, "lb2"))
        double.fleet.member("lb2")["is_alive"] = False

    other = threading.Thread(target=leave)
    other.start()
    done = lbapp(socket, "drain", "--node", "lb2", "--wait")
    other.join(20)
    assert done.exit_code == 1
    assert "lb2 has left the fleet" in done.stderr


@pytest.mark.parametrize(("left_s", "code"), [(120.0, 0), (0.0, 1)])
def test_node_that_is_to_stop_then_has_done_so_when_it_leaves(
    double: EngineDouble, socket: Path, left_s: float, code: int
) -> None:
    def leave() -> None:
        wait_for(lambda: drain_of(double, "lb2"))
        double.fleet.member("lb2")["state"]["drain"] = node_drain(remaining_s=left_s)  # type: ignore[index]  # it has said something
        asked = double.fleet.asked
        wait_for(lambda: double.fleet.asked > asked + 1)
        double.fleet.member("lb2")["is_alive"] = False

    other = threading.Thread(target=leave)
    other.start()
    done = lbapp(socket, "drain", "--node", "lb2", "--wait", "--then-stop")
    other.join(20)
    assert done.exit_code == code, done.stderr
    assert "drained, and its engine has ended" in done.stdout if code == 0 else "closed by force" in done.stderr


def test_name_that_is_no_node_is_refused_and_a_server_is_not_taken_for_one(double: EngineDouble, socket: Path) -> None:
    assert "the fleet has no node lb9" in lbapp(socket, "drain", "--node", "lb9").stderr
    done = lbapp(socket, "drain", "--node", "app/s1")
    assert done.exit_code == 2
    assert "app/s1 is no node but a server" in done.stderr
    assert lbapp(socket, "ready", "app/s1", "--node").exit_code == 2
