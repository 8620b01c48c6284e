"""Verbs are imported by name: each is there, and none costs the others' start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

import lbapp.cli
from lbapp.cli.verbs import VERBS, Verbs
from tests.cli.harness import run


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_each_verb_is_where_it_is_said_to_be(verb: str) -> None:
    found = Verbs().get_command(click.Context(Verbs()), verb)
    assert found is not None
    assert found.name == verb


def test_no_module_has_a_verb_that_is_not_offered() -> None:
    folder = Path(lbapp.cli.__file__).parent
    marks = ("@click.command", "@click.group")
    modules = {path.stem for path in folder.glob("*.py") if any(mark in path.read_text() for mark in marks)} - {"main"}
    assert modules == set(VERBS.values())


def test_unknown_verb_is_wrong_usage() -> None:
    done = run("nonsense")
    assert done.exit_code == 2
    assert "nonsense" in done.stderr


def test_start_of_one_verb_imports_no_other() -> None:
    code = "import sys; from lbapp.cli.main import cli; cli.get_command(None, 'stop'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name for name in done.stdout.split() if name.startswith("lbapp.cli.")}
    assert "lbapp.cli.stop" in found
    assert not found & {"lbapp.cli.bundle", "lbapp.cli.past", "lbapp.cli.save", "lbapp.cli.tui"}
