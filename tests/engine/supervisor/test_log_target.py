from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbapp.engine.supervisor.log_target import check_log
from lbapp.model.access_log import NO_LOG, AccessLog, LogTarget
from lbapp.model.errors import StartError


def test_file_is_made_and_what_needs_none_is_fine(tmp_path: Path) -> None:
    check_log(NO_LOG)
    check_log(AccessLog(LogTarget.STDOUT))
    check_log(AccessLog(LogTarget.FILE, str(tmp_path / "access.log")))
    assert (tmp_path / "access.log").exists()
    os.mkfifo(tmp_path / "fifo")
    check_log(AccessLog(LogTarget.FILE, str(tmp_path / "fifo")))  # its reader may come later, and is not waited for


def test_what_cannot_be_written_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        StartError, match=r"cannot write the access log to .*x.log: No such file.*Create .*missing first"
    ):
        check_log(AccessLog(LogTarget.FILE, str(tmp_path / "missing" / "x.log")))
    with pytest.raises(StartError, match="Is a directory"):
        check_log(AccessLog(LogTarget.FILE, str(tmp_path)))


def test_syslog_needs_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with pytest.raises(StartError, match=f"there is no socket {path}"):
        check_log(AccessLog(LogTarget.SYSLOG, str(path)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))
        check_log(AccessLog(LogTarget.SYSLOG, str(path)))
