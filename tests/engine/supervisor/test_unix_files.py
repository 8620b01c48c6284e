from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from lbapp.engine.supervisor.unix_files import open_unix, remove_if_ours


def test_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    opened, _ = open_unix(path, 0o600)
    with pytest.raises(OSError, match="in use"):
        open_unix(path, 0o600)
    opened.close()
    again, inode = open_unix(path, 0o600)
    assert path.stat().st_ino == inode
    again.close()


def test_file_has_its_mode_and_clients_can_connect(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    opened, _ = open_unix(path, 0o600)
    with opened, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        client.connect(str(path))


def test_file_is_removed_unless_another_stands_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    opened, inode = open_unix(path, 0o600)
    path.rename(tmp_path / "moved")
    another, another_inode = open_unix(path, 0o600)
    remove_if_ours(path, inode)
    assert path.exists()
    remove_if_ours(path, another_inode)
    assert not path.exists()
    opened.close()
    another.close()
