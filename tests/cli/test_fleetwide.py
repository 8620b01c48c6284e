"""Actions of the whole fleet, by the double of one of its nodes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.harness import run
from tests.system.harness import wait_for
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.fleet_double import fleet_of, member, three_nodes


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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("drain", "app/s1"), "app/s1: state ready -> drain"),
        (("maint", "app/s1"), "app/s1: state ready -> maint"),
        (("weight", "app/s1", "50"), "app/s1: weight 100 -> 50"),
        (("unpublish", "app"), "app: published -> unpublished"),
    ],
)
def test_action_of_the_fleet_says_which_nodes_have_it(
    double: EngineDouble, socket: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = lbapp(socket, *arguments, "--fleet")
    assert done.exit_code == 0
    first, last = done.stdout.splitlines()
    assert first.startswith(sentence)
    assert last == "node-a has it; not yet said by lb2, lb3: lbapp nodes"
    assert double.changing.asked[-1][2]["fleet"] is True


@pytest.mark.parametrize(
    "arguments",
    [("maint", "app/s1"), ("ready", "app/s1"), ("weight", "app/s1", "50"), ("unpublish", "app")],
)
def test_wait_returns_when_every_node_that_lives_has_it(
    double: EngineDouble, socket: Path, arguments: tuple[str, ...]
) -> None:
    double.fleet.status = fleet_of(member("node-a"), member("lb2"), member("lb3", is_alive=False))
    done = lbapp(socket, *arguments, "--fleet", "--wait")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "on all nodes that live: node-a, lb2"


def test_undo_of_the_fleet_is_one_on_every_node(double: EngineDouble, socket: Path) -> None:
    lbapp(socket, "weight", "app/s1", "50", "--fleet", "--wait")
    done = lbapp(socket, "undo", "1", "--fleet", "--wait")
    assert done.exit_code == 0
    assert done.stdout == "app/s1: weight 50 -> 100\non all nodes that live: node-a, lb2, lb3\n"


def test_without_the_option_it_is_for_this_node_alone(double: EngineDouble, socket: Path) -> None:
    done = lbapp(socket, "maint", "app/s1")
    assert done.stdout == "app/s1: state ready -> maint\n"
    assert "fleet" not in double.changing.asked[-1][2]


def test_silent_store_changes_nothing_and_says_what_is_possible(double: EngineDouble, socket: Path) -> None:
    double.fleet.status = three_nodes(state="stale", age_s=30.0)
    done = lbapp(socket, "maint", "app/s1", "--fleet")
    assert done.exit_code == 1
    assert "the store does not answer, so nothing was changed. Without --fleet it is for this node alone" in done.stderr
    assert double.servers[0]["admin"] == "ready"


def test_store_that_falls_silent_while_it_is_waited_for_is_said(double: EngineDouble, socket: Path) -> None:
    double.fleet.is_slow = True  # the others do not hear of it

    def fall_silent() -> None:
        wait_for(lambda: double.fleet.asked)
        double.fleet.status["state"] = "stale"

    other = threading.Thread(target=fall_silent)
    other.start()
    done = lbapp(socket, "maint", "app/s1", "--fleet", "--wait")
    assert done.exit_code == 1
    other.join(20)
    assert "the store is silent, so it is not known which nodes have it" in done.stderr


def test_json_is_the_whole_answer_with_the_nodes(double: EngineDouble, socket: Path) -> None:
    done = lbapp(socket, "maint", "app/s1", "--fleet", "--wait", "--json")
    answer = json.loads(done.stdout)
    assert answer["fleet"]["waiting"] == ["lb2", "lb3"]
    assert answer["changes"][0]["server"]["id"] == "app/s1"
    assert "on all nodes that live: node-a, lb2, lb3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("maint", "app/s1", "--wait"), "--wait stands beside --fleet"),
        (("unpublish", "app", "--wait"), "--wait stands beside --fleet"),
        (("undo", "--wait"), "--wait stands beside --fleet"),
        (("weight", "app/s1", "5", "--wait"), "--wait stands beside --over or --fleet"),
        (("drain", "--node", "--fleet"), "--node is about one node"),
        (("drain", "app/s1", "--then-stop"), "--then-stop stands beside --node"),
        (
            ("drain", "app/s1", "--fleet", "--wait", "--remove"),
            "--remove stands beside --wait, for servers of this node",
        ),
        (("reload", "--rolling"), "--rolling and --wait stand beside --fleet"),
        (("reload", "--fleet", "--confirm", "5m"), "are for this node alone, without --fleet"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    double: EngineDouble, socket: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = lbapp(socket, *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert double.changing.asked == []
