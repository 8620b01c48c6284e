"""The list of verbs, what starts quickly, and what needs a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lbapp
from tests.cli.harness import Bench, run, run_process


def test_version_is_the_packages() -> None:
    assert lbapp.__version__ in run("--version").stdout


def test_every_verb_is_offered_and_explains_itself() -> None:
    text = run("--help").stdout
    for verb in ("check", "demo", "drain", "events", "maint", "ready", "run", "status", "stop", "tui", "weight"):
        assert f"  {verb} " in text
        assert run(verb, "--help").exit_code == 0


def test_the_command_starts_without_its_heavy_libraries() -> None:
    code = "import sys, lbapp.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"httpx", "httpcore", "pydantic", "textual", "rich", "starlette", "uvicorn", "asyncio", "anyio"}
    assert not heavy & set(done.stdout.split())


def test_console_without_a_terminal_says_what_there_is_instead(bench: Bench) -> None:
    result = bench.lbapp()
    assert result.exit_code == 1
    assert result.stderr == "lbapp: the console needs a terminal. Without one there is: lbapp status\n"


def test_python_dash_m_is_the_same_command(tmp_path: Path) -> None:
    done = run_process("--socket", str(tmp_path / "none"), "status")
    assert done.returncode == 3
    assert done.stderr.startswith("lbapp: no engine answers")


def test_engine_that_cannot_start_says_why_and_fails(tmp_path: Path) -> None:
    done = run_process("run", "-c", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert "none.toml" in done.stderr
    assert "Traceback" not in done.stderr
