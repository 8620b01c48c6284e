from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from lbapp.engine.supervisor.control_socket import ControlSocket, peer_of
from lbapp.model.errors import StartError


def test_socket_is_for_its_owner_alone_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lbapp" / "control.sock"
    control = ControlSocket.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o027 == 0
    control.close()
    assert not path.exists()


def test_another_engine_on_the_socket_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    first = ControlSocket.open(path)
    try:
        with pytest.raises(StartError, match="another engine answers there") as caught:
            ControlSocket.open(path)
        assert "--socket PATH" in caught.value.hint
        assert path.exists()
    finally:
        first.close()


def test_socket_of_a_dead_engine_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    ControlSocket.open(path).socket.close()
    successor = ControlSocket.open(path)
    successor.close()
    assert not path.exists()


def test_leaving_engine_does_not_remove_the_socket_of_another(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    first = ControlSocket.open(path)
    path.unlink()
    second = ControlSocket.open(path)
    first.close()
    assert path.exists()
    second.close()


@pytest.mark.parametrize("name", ["x" * 200, "file/control.sock"])
def test_path_that_cannot_be_is_one_clear_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot open the control socket"):
        ControlSocket.open(tmp_path / name)


def test_caller_is_known_by_its_peer_credentials() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer["uid"], peer["pid"]) == (os.getuid(), os.getpid())
    assert peer["user"]
