"""An engine that answers a console, and a console that keeps nothing beyond its test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.engine_double import EngineDouble, answering


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no console of a test write where its user keeps state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def double(socket: Path) -> Iterator[EngineDouble]:
    """An engine with its three servers; a module may have another one."""
    engine = EngineDouble()
    with answering(engine, socket):
        yield engine
