"""Sharing the work of collecting leaves what is collected as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.compiled import modules_below
from tests.house.test_tree import ROOT


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "tests.compiled", "-p", "no:cacheprovider", "own"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_modules_are_those_below_the_folders_of_the_arguments(tmp_path: Path) -> None:
    for name in ("a/b/test_one.py", "a/test_two.py", "a/helper.py", "c/test_three.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = modules_below(tmp_path, [str(tmp_path / "a"), str(tmp_path / "c/test_three.py")])
    assert list(found) == ["a.b.test_one", "a.test_two"]


def test_asserts_are_explained_and_each_module_is_compiled_and_a_module_that_fails_is_said_once(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "conftest.py").touch()
    for name, text in {
        "__init__": "",
        "test_right": "def test_right():\n    pass\n",
        "test_wrong": "def test_wrong():\n    one, two = 1, 2\n    assert one == two\n",
    }.items():
        (own / f"{name}.py").write_text(text)
    done = run(tmp_path)
    assert "assert 1 == 2" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert len(list((own / "__pycache__").glob("test_*-pytest-*.pyc"))) == 2
    (own / "test_gone.py").write_text("import a_module_that_there_is_not\n")
    done = run(tmp_path)
    assert done.stdout.count("No module named 'a_module_that_there_is_not'") == 1
    assert "1 error" in done.stdout
