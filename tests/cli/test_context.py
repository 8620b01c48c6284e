"""Where the socket is named, and what reaches the terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lbapp.cli.context import printable
from tests.cli.harness import Bench, run, run_process

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]


def test_control_bytes_never_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\x07\x9b\u202e\tc\u00e9") == "a?[31mb????c\u00e9"


def test_socket_and_json_may_stand_on_either_side_of_the_verb(bench: Bench) -> None:
    socket = str(bench.engine.control)
    before = run("--socket", socket, "--json", "status")
    behind = run("status", "--socket", socket, "--json")
    assert before.exit_code == behind.exit_code == 0
    assert before.stdout.startswith("{")
    assert behind.stdout.startswith("{")


def test_environment_names_the_socket(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBAPP_SOCKET", str(bench.engine.control))
    assert run("status").exit_code == 0
    assert run_process("--socket", "/nowhere", "status").returncode == 3


@pytest.mark.parametrize("verb", [["status"], ["ready", "a/b"], ["events"], ["stop"], ["tui"], []])
def test_without_an_engine_every_verb_says_how_to_start_one(tmp_path: Path, verb: list[str]) -> None:
    result = run_process("--socket", str(tmp_path / "none.sock"), *verb)
    assert result.returncode == 3
    assert "no engine answers" in result.stderr
    assert "lbapp run -c FILE" in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_output_that_cannot_be_written_is_one_sentence_and_status_1(bench: Bench, options: list[str]) -> None:
    verbs = [["--socket", str(bench.engine.control), "status"], ["check", str(ROOT / "conf" / "lbapp.toml")]]
    for verb in verbs:
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "lbapp", *verb, *options]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "cannot write the output: No space left on device" in done.stderr


@pytest.mark.parametrize(
    "verb", [["fly"], ["drain"], ["drain", "a/b", "--timeout", "30"], ["weight", "a/b", "257"], ["events", "-n", "0"]]
)
def test_wrong_usage_has_status_2_and_says_what_is_allowed(verb: list[str]) -> None:
    result = run(*verb)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr
