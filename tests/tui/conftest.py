from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no console of a test write where its user keeps state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
