from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.engine.supervisor.fd_store import FdStore


class Manager:
    """Reads what a service manager is told: the lines of each datagram, and how many descriptors came with it."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def told(self) -> list[str]:
        """Return what it was told since the last time."""
        found: list[str] = []
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._socket, 4096, 4)
            except BlockingIOError:
                return found
            for fd in fds:
                os.close(fd)
            found.append(data.decode().replace("\nFDNAME=", " ").replace("=1", "") + "+" * len(fds))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    found = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield found
    found.close()


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    found = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    yield found
    for each in found:
        each.close()


def test_what_is_wanted_is_kept_once_and_what_no_longer_is_forgotten(
    manager: Manager, sockets: list[socket.socket]
) -> None:
    wanted = {"a": sockets[0].fileno(), "b": sockets[1].fileno()}
    store = FdStore(lambda: wanted, {})
    assert manager.told() == []
    store.update()
    assert manager.told() == ["FDSTORE a+", "FDSTORE b+"]
    store.update()
    assert manager.told() == []
    del wanted["a"]
    wanted["c"] = sockets[2].fileno()
    store.update()
    assert manager.told() == ["FDSTOREREMOVE a", "FDSTORE c+"]


def test_what_an_engine_before_has_had_kept_stays_only_if_it_is_the_same_socket(
    manager: Manager, sockets: list[socket.socket]
) -> None:
    same, another, gone = (os.fstat(each.fileno()).st_ino for each in sockets)
    wanted = {"same": sockets[0].fileno(), "other": sockets[0].fileno()}
    store = FdStore(lambda: wanted, {"same": same, "other": another, "gone": gone})
    store.update()
    assert manager.told() == ["FDSTOREREMOVE other", "FDSTOREREMOVE gone", "FDSTORE same+", "FDSTORE other+"]


def test_letting_go_returns_when_the_service_manager_has_closed_everything(
    manager: Manager, sockets: list[socket.socket]
) -> None:
    store = FdStore(lambda: {"a": sockets[0].fileno()}, {})
    store.update()
    assert manager.told() == ["FDSTORE a+"]
    letting_go = threading.Thread(target=store.let_go)
    letting_go.start()
    told: list[str] = []
    while len(told) < 2:
        told += manager.told()
    letting_go.join(10)
    assert told == ["FDSTOREREMOVE a", "BARRIER+"]
    store.let_go()
    assert manager.told() == []


def test_service_manager_that_has_no_room_is_told_again_next_time(
    manager: Manager, sockets: list[socket.socket], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as busy:
        busy.connect(str(tmp_path / "notify"))
        with contextlib.suppress(BlockingIOError):
            while busy.send(b"STATUS=busy"):
                pass
    store = FdStore(lambda: {"a": sockets[0].fileno(), "b": sockets[1].fileno()}, {})
    store.update()
    assert not any("FDSTORE" in each for each in manager.told())
    store.update()
    assert manager.told() == ["FDSTORE a+", "FDSTORE b+"]
