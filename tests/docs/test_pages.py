"""Whoever does what README and tutorial say gets what they show: every command is run as it stands there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs.pages import CONSOLE, has_lines_of, says_the_same, steps
from tests.docs.shells import ROOT, Machine, difference
from tests.system.cluster.lab import missing

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]  # a page is many steps, each with a time limit of its own

README, TUTORIAL = ROOT / "README.md", ROOT / "docs/tutorial.md"
# What cannot be done in a test, each with the reason.
LEFT_OUT = {"scripts/test\n": "it runs this test"}


def checkout(folder: Path) -> None:
    """Make what a clone is, once `scripts/setup` has installed lbapp into its `.venv`: that would need a network."""
    folder.mkdir()
    for entry in ("conf", "docs", "lbapp", "packaging", "pyproject.toml", "scripts"):
        (folder / entry).symlink_to(ROOT / entry)
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        if (Path(sys.prefix) / part).exists():
            (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    (folder / ".venv/.ready").touch()


def do(page: Path, machine: Machine) -> list[str]:
    """Do what a page says, one step behind the other; return what was left out, with the reason."""
    left_out = []
    for step in steps(page):
        if step.commands in LEFT_OUT:
            left_out.append(f"{page.name}:{step.line}: {step.commands.strip()} is not run: {LEFT_OUT[step.commands]}")
        elif step.terminal == CONSOLE:
            machine.press(step)
        else:
            assert not (found := difference(step, machine.type_into(step))), f"{page.name}, {found}"
    return left_out


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_tutorial_is_what_one_sees(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    with Machine(tmp_path / "here", tmp_path) as machine:
        assert do(TUTORIAL, machine) == []


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_readme_is_what_one_sees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkout(tmp_path / "lbapp")
    with Machine(tmp_path / "lbapp", tmp_path) as machine:
        left_out = do(README, machine)
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{each}" for each in left_out))
    assert len(left_out) == len(LEFT_OUT), "an exception is out of date"


@pytest.mark.parametrize(
    ("page", "printed", "same"),
    [
        ("12 of s1", "7 of s1", True),
        ("12 of s1", "7 of s2", False),
        ("HTTP 200 (5 ms)", "HTTP 200 (12.5 ms)", True),
        ("HTTP 200 (5 ms)", "HTTP 503 (5 ms)", False),
        ("status 2", "status 0", False),
        ("at 127.0.0.1:9001", "at 127.0.0.1:9002", False),
        ("up 2s, pid 12, 5m00s", "up 13s, pid 1412, 4m59s", True),
        ("a   1.2  0%  -", "a 0 - 3.3ms", True),
        ("lbapp 0.1.0 serves", "lbapp 1.20.3 serves", True),
        ("a\n...\nz", "a\nb\nc\nz", True),
        ("a\n...\nz", "a\nz", True),
        ("a\n...\nz", "a\nb\nc", False),
        ("a\nb", "b\na", False),
        ("a", "a\nb", False),
        ("a", "page: line 3: 12 Terminated sleep 9\na", True),
    ],
)
def test_figures_and_times_may_be_others_and_nothing_else(page: str, printed: str, same: bool) -> None:
    assert says_the_same(page, printed) is same


def test_a_terminal_of_its_own_has_the_lines_of_the_page_in_any_order() -> None:
    assert has_lines_of("b 1\na", "a\nc\nb 2\n")
    assert not has_lines_of("a\nd", "a\nc\nb 2\n")


def test_no_command_of_a_page_is_passed_over() -> None:
    for page in (README, TUTORIAL):
        text = page.read_text()
        assert steps(page)
        assert len(steps(page)) == text.count("\n```sh") == (text.count("```") - _other_fences(text)) / 2, page.name
        for step in steps(page):
            assert bool(step.presses) == (step.terminal == CONSOLE), f"{page.name}:{step.line}"


def _other_fences(text: str) -> int:
    return 2 * sum(text.count(f"\n```{kind}\n") for kind in ("text", "toml", "json"))
