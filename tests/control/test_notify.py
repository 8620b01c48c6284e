from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.control.notify import fall_silent, notify, wait_until_taken_in, watchdog_s


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A service manager's socket, of which nobody reads yet."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "notify"))
        opened.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield opened


def fill(path: str) -> int:
    """Say something until there is no room; return how often."""
    count = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        sender.connect(path)
        while True:
            try:
                sender.send(b"STATUS=busy")
            except BlockingIOError:
                return count
            count += 1


@pytest.mark.parametrize("is_abstract", [False, True])
def test_state_reaches_the_service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_abstract: bool) -> None:
    address = f"@lbapp-{tmp_path.name}-{id(tmp_path)}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:] if is_abstract else address)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert notify("READY=1")
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_missing_service_manager_does_not_matter(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


def test_who_speaks_waits_for_room_in_the_queue_of_a_busy_service_manager(manager: socket.socket) -> None:
    filled = fill(os.environ["NOTIFY_SOCKET"])
    said: list[bool] = []
    speaking = threading.Thread(target=lambda: said.append(notify("FDSTORE=1\nFDNAME=x", [manager.fileno()])))
    speaking.start()
    for _ in range(filled):
        assert manager.recv(100) == b"STATUS=busy"
    data, fds, _, _ = socket.recv_fds(manager, 100, 2)
    speaking.join(10)
    assert (data, len(fds), said) == (b"FDSTORE=1\nFDNAME=x", 1, [True])
    os.close(fds[0])


def test_what_a_service_manager_that_does_not_listen_was_not_told_stands_in_the_log(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    fill(os.environ["NOTIFY_SOCKET"])
    with caplog.at_level(logging.WARNING, "lbapp"):
        assert not notify("FDSTORE=1\nFDNAME=x", [manager.fileno()])
    assert caplog.messages == ["cannot tell the service manager FDSTORE=1 FDNAME=x: it has no room"]


def test_wait_ends_when_the_service_manager_has_taken_in_what_was_said_before(manager: socket.socket) -> None:
    ended: list[bool] = []
    waiting = threading.Thread(target=lambda: ended.append(wait_until_taken_in()))
    waiting.start()
    data, fds, _, _ = socket.recv_fds(manager, 100, 2)
    assert (data, ended) == (b"BARRIER=1", [])
    os.close(*fds)
    waiting.join(10)
    assert ended == [True]


def test_wait_for_a_service_manager_that_takes_in_nothing_ends_all_the_same(manager: socket.socket) -> None:
    assert not wait_until_taken_in()


def test_wait_without_a_service_manager_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not wait_until_taken_in()


def test_who_has_fallen_silent_says_nothing_any_more(manager: socket.socket) -> None:
    fall_silent()
    fall_silent()
    assert not notify("STOPPING=1")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)


@pytest.mark.parametrize(
    ("given", "watched", "seconds"),
    [
        ("10000000", None, 10.0),
        ("2500000", 0, 2.5),
        ("10000000", 1, None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_a_watchdog_waits_for_the_process_that_it_names_alone(
    monkeypatch: pytest.MonkeyPatch, given: str | None, watched: int | None, seconds: float | None
) -> None:
    """`watched`: how far the process that is named is from this one."""
    pid = None if watched is None else str(os.getpid() + watched)
    for name, value in (("WATCHDOG_USEC", given), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert watchdog_s() == seconds
