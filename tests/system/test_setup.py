"""scripts/setup makes a `.venv` that works, whatever it finds there.

The interpreter is a stand-in that notes what it was asked: a real one would fetch packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# It passes every probe but those named in the file `fails`, and makes a copy of itself where a venv is asked for.
STAND_IN = """#!/usr/bin/env bash
if [ "$1" = -c ] || [ "$1" = -P ]; then
    while read -r word; do [[ "$*" != *"$word"* ]] || exit 1; done <"$FAILS"
    exit 0
fi
echo "$*" >>"$ASKED"
if [ "$2" = venv ]; then
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    : >"$FAILS"
fi
"""


class Checkout:
    """A folder with scripts/setup in it and a stand-in for Python on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        self.fails = folder / "fails"
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/setup", folder / "scripts/setup")
        (folder / "pyproject.toml").touch()
        self.fails.touch()
        (folder / "bin").mkdir()
        self.put(folder / "bin/python3")

    def put(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)

    def setup(self) -> list[str]:
        """Run it; return what Python was asked to do."""
        self.asked.write_text("")
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "ASKED": str(self.asked), "FAILS": str(self.fails)}
        subprocess.run([self.folder / "scripts/setup"], env=environment, check=True, capture_output=True, timeout=30)
        return self.asked.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_first_run_makes_the_venv_and_the_next_has_nothing_to_do(checkout: Checkout) -> None:
    asked = checkout.setup()
    assert asked[0] == "-m venv --clear .venv"
    assert asked[1].startswith("-m pip install")
    assert checkout.setup() == []


def test_venv_that_was_interrupted_half_way_is_made_anew(checkout: Checkout) -> None:
    checkout.put(checkout.folder / ".venv/bin/python")
    checkout.fails.write_text("import pip\n")
    assert checkout.setup()[0] == "-m venv --clear .venv"


def test_venv_whose_interpreter_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    (checkout.folder / ".venv/bin/python").unlink()
    assert checkout.setup()[0] == "-m venv --clear .venv"


def test_venv_of_a_folder_that_was_moved_is_installed_into_again(checkout: Checkout) -> None:
    checkout.setup()
    checkout.fails.write_text("samefile\n")
    asked = checkout.setup()
    assert len(asked) == 1
    assert asked[0].startswith("-m pip install")
