"""Where the control socket is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbapp.control.paths import default_socket


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
