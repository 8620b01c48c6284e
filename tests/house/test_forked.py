"""What is started from a template is what an interpreter of its own would be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests import forked
from tests.system.harness import wait_for

# What a program sees of itself, but for its modules and its number.
SEEN = (
    "import os, sys; "
    "print([sys.argv, sys.orig_argv[1:], os.getcwd(), dict(os.environ), __name__, sorted(os.listdir('/proc/self/fd'))])"
)


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        yield file


def test_program_has_the_arguments_environment_folder_and_descriptors_that_it_would_have_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "OWN": "a \udcff\n"}
    arguments = ["-c", SEEN, "-x", "two words"]
    with written(tmp_path / "forked") as output:
        assert forked.start(arguments, output.fileno(), output.fileno(), environment).wait(20) == 0
    with written(tmp_path / "alone") as output:
        subprocess.run([sys.executable, *arguments], stdout=output, stderr=output, env=environment, check=True)
    assert (tmp_path / "forked").read_text() == (tmp_path / "alone").read_text() != ""


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("pass", 0),
        ("import sys; sys.exit(7)", 7),
        ("raise ValueError('so')", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
    ],
)
def test_program_ends_as_it_would_alone(tmp_path: Path, code: str, status: int) -> None:
    with written(tmp_path / "said") as output:
        assert forked.start(["-c", code], output.fileno(), output.fileno()).wait(20) == status
    assert ("ValueError: so" in (tmp_path / "said").read_text()) is ("ValueError" in code)


def test_program_gets_signals_and_is_known_to_run_until_it_has_ended(tmp_path: Path) -> None:
    with written(tmp_path / "said") as output:
        process = forked.start(["-c", "print('so', flush=True); input()"], output.fileno(), output.fileno())
        assert process.wait(20) == 1, "there is nothing to read"
        code = "import time; print('up', flush=True); time.sleep(600)"
        process = forked.start(["-c", code], output.fileno(), output.fileno())
    wait_for(lambda: "up" in (tmp_path / "said").read_text())
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == process.poll() == -signal.SIGTERM
    assert not Path(f"/proc/{process.pid}").exists()
    process.kill()  # nothing


def test_module_is_run_as_the_command_line_runs_it(tmp_path: Path) -> None:
    with written(tmp_path / "said") as output:
        assert forked.start(["-m", "lbapp", "--version"], output.fileno(), output.fileno()).wait(20) == 0
        assert forked.start(["-m", "lbapp", "nonsense"], output.fileno(), output.fileno()).wait(20) == 2
    alone = subprocess.run([sys.executable, "-m", "lbapp", "--version"], capture_output=True, text=True, check=True)
    assert (tmp_path / "said").read_text().startswith(alone.stdout)


def test_template_that_was_killed_takes_nothing_along_and_another_follows(tmp_path: Path) -> None:
    with written(tmp_path / "said") as output:
        process = forked.start(["-c", "import time; time.sleep(600)"], output.fileno(), output.fileno())
        try:
            template = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])
            assert template != os.getpid()
            os.kill(template, signal.SIGKILL)
            assert forked.start(["-c", "pass"], output.fileno(), output.fileno()).wait(20) == 0
            assert process.poll() is None
        finally:
            os.kill(process.pid, signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
