"""The parsers mean the same in every Python on this machine that lbapp supports.

Regular expressions differ between patch releases: before 3.11.5, CPython repeats a group possessively in a wrong way, and
Debian 12 ships 3.11.2. So the verdicts on all vectors are compared between interpreters, not only tested in one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h11
import pytest

from tests.engine.wire.verdicts import verdicts

ROOT = Path(__file__).parents[3]


def _other_pythons() -> list[str]:
    """Return interpreters of other releases than this one, 3.11 and newer, that are on this machine."""
    found: dict[str, str] = {}
    for folder in (*os.get_exec_path(), "/usr/bin", "/usr/local/bin"):
        for path in sorted(Path(folder).glob("python3*")) if Path(folder).is_dir() else ():
            if re.fullmatch(r"python3(\.\d+)?", path.name):
                asked = [str(path), "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]
                said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
                if said and tuple(map(int, said.split("."))) >= (3, 11):
                    found.setdefault(said, str(path))
    found.pop("{}.{}.{}".format(*sys.version_info[:3]), None)
    return sorted(found.values())


def test_common_heads_are_recognised_by_the_grammar() -> None:
    assert set(verdicts()["recognised"]) == {"True"}


def test_every_python_on_this_machine_gives_the_same_verdicts() -> None:
    others = _other_pythons()
    if not others:
        pytest.skip("there is no other Python 3.11 or newer on this machine")
    expected = verdicts()
    path = os.pathsep.join((str(ROOT), str(Path(h11.__file__).parents[1])))
    for python in others:
        script = "import json; from tests.engine.wire.verdicts import verdicts; print(json.dumps(verdicts()))"
        command = [python, "-S", "-c", script]
        done = subprocess.run(command, env={"PYTHONPATH": path}, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{python}: {done.stderr}"
        assert json.loads(done.stdout) == expected, python
