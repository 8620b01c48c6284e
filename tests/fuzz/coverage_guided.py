"""atheris on one target, in a process of its own: libFuzzer ends its process when it is done.

Responsible for starting it with the vectors as seeds and for reading its figures. Invariant: a finding is printed as bytes that
can be put into a test.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutating import seeds_of

IS_MISSING = importlib.util.find_spec("atheris") is None
_CHILD = """
import sys
import atheris
with atheris.instrument_imports(include=["lbapp.engine.wire", "h11"]):
    from tests.fuzz.targets import TARGETS
atheris.Setup(sys.argv, TARGETS[{name!r}])
atheris.Fuzz()
"""


@dataclass
class Fuzzed:
    """The figures of one run."""

    executions: int
    coverage: int
    features: int
    finding: str


def fuzz(target: str, seconds: int) -> Fuzzed:
    """Fuzz a target for so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, seed in enumerate(seeds_of(target)):
            Path(corpus, str(number)).write_bytes(seed[:4000])
        options = [
            str(corpus),
            f"-max_total_time={seconds}",
            "-max_len=4096",
            f"-artifact_prefix={folder}/finding-",
            "-print_final_stats=1",
        ]
        done = subprocess.run(
            [sys.executable, "-c", _CHILD.format(name=target), *options],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + 60,
            check=False,
        )
        text = done.stdout + done.stderr
        finding = ""
        for path in sorted(Path(folder).glob("finding-*")):
            finding = f"{path.read_bytes()!r}\n{text[-2000:]}"
        if done.returncode and not finding:
            finding = text[-2000:]
    executions = re.findall(r"stat::number_of_executed_units:\s+(\d+)", text) or re.findall(r"Done (\d+) runs", text)
    coverage, features = (re.findall(rf"{word}: (\d+)", text) for word in ("cov", "ft"))
    return Fuzzed(int((executions or ["0"])[-1]), int((coverage or ["0"])[-1]), int((features or ["0"])[-1]), finding)
