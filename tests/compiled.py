"""Test modules are compiled once for all workers of a run, and not by each of them.

pytest rewrites the asserts of a test module when it is imported and keeps the outcome on disk; in a fresh clone that is two
thirds of all collecting. Workers collect the same modules in the same order at the same time, so that each would rewrite all.

Responsible for each worker's importing a share of its own before it collects. Knows nothing of what a module has. Invariant: what
is collected, and what is said of a module that cannot be imported, is as without it.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest


def modules_below(root: Path, arguments: list[str]) -> Iterator[str]:
    """Yield the names of the test modules in the folders among the arguments of a run, in a fixed order."""
    for folder in map(Path, arguments):
        if folder.is_dir():
            for path in sorted(folder.absolute().rglob("test_*.py")):
                yield ".".join(path.relative_to(root).with_suffix("").parts)


@pytest.hookimpl
def pytest_collectstart(collector: pytest.Collector) -> None:
    """Import this worker's share before anything is collected."""
    worker = getattr(collector.config, "workerinput", None)
    if worker is None or not isinstance(collector, pytest.Session):
        return
    number, workers = int(worker["workerid"].removeprefix("gw")), int(worker["workercount"])
    for name in list(modules_below(collector.config.rootpath, collector.config.args))[number::workers]:
        with contextlib.suppress(Exception, pytest.skip.Exception):  # pytest says so when it comes to this module
            import_module(name)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Keep the collector of garbage off what collecting makes, which stays to the end of the run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
