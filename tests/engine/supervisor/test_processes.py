from __future__ import annotations

import os

import pytest

from lbapp.engine.supervisor import processes
from lbapp.engine.supervisor.processes import ProcessFigures


def test_memory_is_known_at_once_and_cpu_from_the_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LOOK_INTERVAL_S", 0.0)
    figures = ProcessFigures()
    figures.look([os.getpid()])
    first = figures.cpu_percent
    assert first is None
    assert (figures.memory_bytes or 0) > 1_000_000
    figures.look([os.getpid()])
    assert isinstance(figures.cpu_percent, float)


def test_process_that_is_gone_counts_as_nothing() -> None:
    figures = ProcessFigures()
    figures.look([2**22 + 1])
    assert figures.memory_bytes == 0
