"""A test that hangs is one test that fails, and the run goes on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
WAITS_FOR_A_CHILD = """
import subprocess, sys, time

def test_waits_for_a_child_on_its_way_out():
    with subprocess.Popen(["sleep", "1000"]) as process:
        print(process.pid, file=open("pid", "w"), flush=True)
        time.sleep(1000)
"""
WAITS_FOR_NOTHING = """
import time

def test_takes_no_notice_of_its_timeout():
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass
"""
IS_WELL = "def test_is_well():\n    pass\n"


def run(folder: Path, text: str, *options: str) -> str:
    """Run the tests in a text with little time for each; return what is printed."""
    (folder / "test_hanging.py").write_text(text + "\n" + IS_WELL)
    (folder / "pytest.ini").write_text("[pytest]\ntimeout = 1\ngrace = 1\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.watchdog",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
    ]
    done = subprocess.run(
        [*command, "--import-mode=importlib", *options, str(folder / "test_hanging.py")],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_child_that_a_test_waits_for_after_its_timeout_is_killed_and_the_test_fails_by_its_timeout(
    tmp_path: Path,
) -> None:
    said = run(tmp_path, WAITS_FOR_A_CHILD)
    assert "1 failed, 1 passed" in said
    assert "Timeout (>1.0s) from pytest-timeout" in said
    assert re.search(r"watchdog: \S*::test_waits_for_a_child_on_its_way_out does not end after its 1 s: 1 child", said)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_process_that_hangs_for_good_is_one_failed_test_and_the_rest_run_in_another(tmp_path: Path) -> None:
    said = run(tmp_path, WAITS_FOR_NOTHING, "-n", "1")
    assert "1 failed, 1 passed" in said
    assert "crashed while running" in said
    assert "does not end without its children either" in said
