"""nodes of a list of hosts, each asked by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.cli.hosts import ask_all
from lbapp.control.hosts import place_of
from lbapp.control.ssh import Link
from tests.cli.harness import run
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.fleet_double import ALONE, member


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two engines that are in no fleet."""
    one, two = EngineDouble(), EngineDouble()
    two.fleet.status = {**ALONE, "node": "node-b", "members": [member("node-b", is_self=True)]}
    with answering(one, tmp_path / "a"), answering(two, tmp_path / "b"):
        yield tmp_path / "a", tmp_path / "b"


def test_nodes_of_several_hosts_stand_together_with_their_totals(sockets: tuple[Path, Path]) -> None:
    done = run("nodes", "--host", str(sockets[0]), "--host", str(sockets[1]))
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "2 hosts, each asked by itself: 2 of 2 nodes ready"
    assert [line.split()[0] for line in lines[1:]] == ["NODE", "node-a", "node-b", "total"]
    assert lines[4].split() == ["total", "2", "of", "2", "420", "1960", "1.0%"]


def test_host_that_does_not_answer_is_said_and_shows_in_the_exit_status(
    sockets: tuple[Path, Path], tmp_path: Path
) -> None:
    listed = tmp_path / "hosts"
    listed.write_text(f"# ours\n{sockets[0]}\n{tmp_path / 'none'}\n")
    done = run("nodes", "--hosts", str(listed))
    assert done.exit_code == 1
    assert "1 of 2 nodes ready" in done.stdout
    assert "GONE" in done.stdout
    assert f"{tmp_path / 'none'}: no engine answers on" in done.stderr
    done = run("nodes", "--host", str(tmp_path / "none"), "--host", str(tmp_path / "nor"))
    assert done.exit_code == 3


def test_host_that_cannot_be_gone_to_is_a_problem_of_its_own_and_none_waits_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together = threading.Barrier(20)

    def ensure(_link: Link) -> None:
        together.wait(10)
        raise FileNotFoundError("no ssh here")

    monkeypatch.setattr(Link, "ensure", ensure)
    answers = ask_all([place_of(f"ssh://lb{number}") for number in range(20)])
    assert [each.problem for each in answers] == ["no ssh here"] * 20


def test_json_has_what_each_host_said_and_why_it_did_not(sockets: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("nodes", "--host", str(sockets[1]), "--host", str(tmp_path / "none"), "--json")
    one, two = json.loads(done.stdout)
    assert (one["fleet"]["node"], one["problem"]) == ("node-b", "")
    assert two["fleet"] is None
    assert "no engine answers" in two["problem"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--host", "http://lb1"), "is no host"),
        (("--hosts", "/nonexistent"), "cannot be read"),
        (("--socket", "/s", "--host", "lb1"), "--socket stands alone"),
    ],
)
def test_list_that_is_none_is_wrong_usage(arguments: tuple[str, ...], words: str) -> None:
    done = run("nodes", *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
