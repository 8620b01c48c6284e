"""In which order tests run when several workers share them.

Responsible for an order in which each worker begins with its part of the tests that start processes and ends with short ones, as
xdist gives each the next piece of the list, all of one length, and moves what is left at the end from one to another. Knows
nothing of how long a test takes. Invariants: the order depends on nothing but the tests and the number of workers, as all workers
must have the same; tests of a module that start processes stay together, since they may share an engine; none is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import pytest

_WITH_PROCESSES = tuple(
    f"tests/{folder}/" for folder in ("bench_smoke", "cli", "cluster", "engine/supervisor", "system", "tui")
)


def spread(tests: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return the tests in the order in which so many workers take them."""
    short = [test for test in tests if not _has_processes(test)]
    pieces: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for module in _modules(test for test in tests if _has_processes(test)):
        min(pieces, key=len).extend(module)
    length = -(-len(tests) // workers)
    for piece in pieces:
        taken = max(0, length - len(piece))
        piece.extend(short[:taken])
        short = short[taken:]
    return [test for piece in pieces for test in piece]


def _has_processes(test: pytest.Item) -> bool:
    return test.nodeid.startswith(_WITH_PROCESSES)


def _modules(tests: Iterable[pytest.Item]) -> list[list[pytest.Item]]:
    """Return the tests by module: those marked `system` first, as they are the longest, and of them the modules with the most."""
    modules = [list(each) for _, each in groupby(tests, key=lambda test: test.path)]
    return sorted(modules, key=lambda module: (module[0].get_closest_marker("system") is None, -len(module)))
