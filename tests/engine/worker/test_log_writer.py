"""The thread that writes lines, with targets that take them, take them slowly, or do not."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbapp.engine.worker import log_writer as subject
from lbapp.engine.worker.log_writer import LogWriter
from lbapp.model.access_log import AccessLog, LogTarget
from tests.system.harness import wait_for


@contextmanager
def writing(target: LogTarget, path: Path | str = "") -> Iterator[LogWriter]:
    writer = LogWriter(AccessLog(target, str(path)))
    try:
        yield writer
    finally:
        writer.end(5)


def test_lines_are_in_the_file_in_their_order_and_none_is_missing(tmp_path: Path) -> None:
    with writing(LogTarget.FILE, tmp_path / "log") as writer:
        for number in range(5000):
            writer.add(f"line {number}\n")
    assert (tmp_path / "log").read_text().splitlines() == [f"line {number}" for number in range(5000)]
    assert writer.dropped == 0
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640


def test_file_that_was_moved_away_is_opened_anew_and_nothing_is_lost(tmp_path: Path) -> None:
    path, old = tmp_path / "log", tmp_path / "log.1"
    with writing(LogTarget.FILE, path) as writer:
        writer.add("one\n")
        wait_for(lambda: path.exists() and path.read_text() == "one\n")
        path.rename(old)
        writer.add("two\n")
        wait_for(lambda: old.read_text() == "one\ntwo\n")
        writer.reopen()
        writer.add("three\n")
        wait_for(lambda: path.exists() and path.read_text() == "three\n")
    assert old.read_text() == "one\ntwo\n"


def test_nobody_waits_for_a_target_that_takes_nothing_and_what_is_too_much_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "LOG_PENDING_BYTES_MAX", 200_000)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # nobody reads: opening it blocks
    writer = LogWriter(AccessLog(LogTarget.FILE, str(fifo)))
    line = 99 * "x" + "\n"
    began = time.thread_time()
    for _ in range(10_000):
        writer.add(line)
    assert time.thread_time() - began < 1.0
    assert writer.dropped == 8000
    reader = os.open(fifo, os.O_RDONLY)
    read = 0
    writer.finish()
    while data := os.read(reader, 65536):
        read += len(data)
    os.close(reader)
    writer.end(10)
    assert read == 2000 * len(line), "what was not dropped arrives"
    assert writer.dropped == 8000


def test_disk_that_is_full_costs_lines_which_are_counted_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    with writing(LogTarget.FILE, path) as writer:
        writer.add("lost\n")
        wait_for(lambda: writer.dropped == 1)
        path.unlink()
        writer.add("kept\n")
        wait_for(lambda: path.exists() and path.read_text() == "kept\n")
    assert writer.dropped == 1


def test_pipe_of_several_writers_gets_whole_lines(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[bytes] = []

    def read() -> None:
        with fifo.open("rb") as pipe:
            got.extend(pipe)

    reader = threading.Thread(target=read)
    reader.start()
    held = os.open(fifo, os.O_WRONLY)  # until the last writer has opened it
    writers = [LogWriter(AccessLog(LogTarget.FILE, str(fifo))) for _ in range(3)]
    for number in range(2000):
        for letter, writer in zip("abc", writers, strict=True):
            writer.add(f"{letter * (50 + number % 900)}\n")
    for writer in writers:
        writer.end(20)
    os.close(held)
    reader.join(20)
    assert len(got) == 6000
    assert all(len(set(line.strip())) == 1 for line in got)


def test_syslog_gets_a_datagram_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))
        syslog.settimeout(10)
        with writing(LogTarget.SYSLOG, path) as writer:
            writer.add("GET /\n")
            data = syslog.recv(4096)
    assert data.startswith(b"<134>")
    assert data.endswith(b"lbapp[%d]: GET /" % os.getpid())
    assert writer.dropped == 0


def test_syslog_that_is_gone_costs_lines_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    with writing(LogTarget.SYSLOG, path) as writer:
        writer.add("lost\n")
        wait_for(lambda: writer.dropped == 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
            syslog.bind(str(path))
            syslog.settimeout(10)
            writer.add("kept\n")
            assert syslog.recv(4096).endswith(b": kept")
