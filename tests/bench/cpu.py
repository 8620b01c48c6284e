"""CPU time and memory of other processes.

Responsible for reading what a set of processes has used so far. Knows nothing of what they are.

CPU time comes from each process's CPU clock (clock_getcpuclockid(3)): nanoseconds, user and system together,
threads that have ended included. /proc/PID/stat counts the same in ticks of 10 ms, too coarse for a round of
a second.

Invariant: a difference of two readings never silently loses a process: one that ended in between is an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from tests.bench.process import BenchError

_CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one process in bytes: resident, and the part of it that it shares with nobody."""

    resident_bytes: int
    private_bytes: int


def read_cpu(pids: Iterable[int]) -> dict[int, int]:
    """Return nanoseconds of CPU time used so far by each process."""
    readings = {}
    for pid in pids:
        try:
            readings[pid] = time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
        except OSError as error:
            raise BenchError(f"process {pid} ended while it was measured") from error
    return readings


def cpu_between(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    """Return the nanoseconds used by all processes between two readings. A new process counts whole."""
    ended = before.keys() - after.keys()
    if ended:
        raise BenchError(f"processes ended while they were measured: {', '.join(map(str, sorted(ended)))}")
    return sum(used - before.get(pid, 0) for pid, used in after.items())


def read_memory(pid: int) -> Memory:
    """Return the memory of one process, from /proc/PID/smaps_rollup."""
    full = psutil.Process(pid).memory_full_info()
    return Memory(resident_bytes=full.rss, private_bytes=full.uss)
