"""Where the control socket is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbapp.control import paths
from lbapp.control.paths import default_socket, default_state_dir


def test_environment_goes_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBAPP_SOCKET", "/somewhere/else.sock")
    assert default_socket() == Path("/somewhere/else.sock")


def test_root_and_users_have_their_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LBAPP_SOCKET", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_socket() == Path("/run/lbapp/control.sock")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert default_socket() == Path("/run/user/1000/lbapp/control.sock")


def test_the_user_whom_the_folders_of_the_system_were_made_for_has_the_engine_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LBAPP_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere/state")
    monkeypatch.setattr(paths, "_RUN", tmp_path)
    monkeypatch.setattr(paths, "_STATE", tmp_path)
    owner = tmp_path.stat().st_uid or 1234  # root has them in any case, so the folder is given away
    os.chown(tmp_path, owner, -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    assert default_socket() == tmp_path / "control.sock"
    assert default_state_dir() == tmp_path
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert default_socket() == Path("/run/user/1000/lbapp/control.sock")
    assert default_state_dir() == Path("/somewhere/state/lbapp")
