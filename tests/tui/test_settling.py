"""When the collector of cycles runs."""

from __future__ import annotations

import gc
import subprocess
import sys

from lbapp.tui.settling import settle

STARTED = """
import gc
from lbapp.tui.settling import begin, settle
begin()
assert not gc.isenabled()
kept = [[] for _ in range(1000)]
settle()
assert gc.isenabled() and gc.get_freeze_count() >= 1000
class Node: ...
import weakref
one = Node()
one.self = one
gone = weakref.ref(one)
del one
gc.collect()
assert gone() is None
print("so")
"""


HOLES = """
from pathlib import Path
from lbapp.tui.settling import sweep
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
blocks = [bytes(2_000) for _ in range(20_000)]  # 40 MB
kept = blocks[::20]
before = resident()
del blocks
sweep()
print(before - resident() > 20_000_000)
"""


def test_what_is_free_between_what_stays_is_given_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_what_the_start_made_is_kept_and_what_comes_later_is_collected() -> None:
    done = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=False)
    assert done.stdout == "so\n", done.stderr


def test_console_that_runs_inside_another_program_leaves_its_collector_alone() -> None:
    before = gc.get_freeze_count()
    settle()
    assert gc.isenabled()
    assert gc.get_freeze_count() == before
