from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.engine.supervisor.handover import (
    ENVIRONMENT,
    HandoverFailed,
    Line,
    OtherGone,
    line_from_environment,
    start_successor,
)
from lbapp.engine.supervisor.inherited import name_of
from lbapp.model.entities import Bind


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def framed(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def test_what_one_says_the_other_hears(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = Line(ends[0], 10), Line(ends[1], 10)
    servers = {f"app/s{number}": {"health": "UP"} for number in range(20_000)}  # more than a socket holds
    saying = threading.Thread(target=lambda: one.say("yours", servers=servers))
    saying.start()
    assert other.hear("yours") == {"kind": "yours", "servers": servers}
    saying.join(10)


@pytest.mark.parametrize("count", [0, 1, 200, 201, 450])
def test_listening_sockets_arrive_by_their_names(count: int) -> None:
    one, other = socket.socketpair()
    with one, other, socket.create_server(("127.0.0.1", 0)) as opened:
        Line(one, 10).give({name_of(f"k{number}", 0): opened.fileno() for number in range(count)})
        found = Line(other, 10).take()
        bind = Bind("127.0.0.1", opened.getsockname()[1])
        for number in range(count):
            (taken,) = found.take(f"k{number}", bind, is_dual=False).sockets.values()
            with taken:
                assert os.path.sameopenfile(taken.fileno(), opened.fileno())
        assert found.close_rest() == []


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (framed(b"no json"), "speaks otherwise"),
        (framed(b"[]"), "speaks otherwise"),
        (framed(b"3"), "speaks otherwise"),
        (framed(b"[" * 100_000), "speaks otherwise"),
        (framed(b"\xff\xfe"), "speaks otherwise"),
        (b"\xff\xff\xff\xff and more", "speaks otherwise"),
        (framed(b"{}"), "says None, not serving"),
        (framed(b'{"kind": "ready"}'), "says ready, not serving"),
        (framed(b'{"kind": "failed", "reason": "no such file"}'), "^no such file$"),
        (framed(b'{"kind": "failed"}'), "^$"),
    ],
)
def test_who_says_something_else_has_failed(
    ends: tuple[socket.socket, socket.socket], said: bytes, sentence: str
) -> None:
    saying = threading.Thread(target=ends[1].sendall, args=(said,))
    saying.start()
    with pytest.raises(HandoverFailed, match=sentence) as raised:
        Line(ends[0], 10).hear("serving")
    assert not isinstance(raised.value, OtherGone)
    saying.join(10)


@pytest.mark.parametrize("said", [b"", b"\0\0", framed(b"{")[:-1], framed(b'{"kind": "serving"}')[:-1]])
def test_who_closes_its_end_has_gone(ends: tuple[socket.socket, socket.socket], said: bytes) -> None:
    ends[1].sendall(said)
    ends[1].close()
    with pytest.raises(OtherGone):
        Line(ends[0], 10).hear("serving")
    with pytest.raises(OtherGone):
        Line(ends[0], 10).say("go")


def test_who_says_nothing_or_too_little_is_not_waited_for_longer_than_said(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    line = Line(ends[0], 0.05)
    for said in (b"", b"\0"):
        ends[1].sendall(said)
        with pytest.raises(HandoverFailed, match="does not answer in time") as raised:
            line.hear("ready")
        assert not isinstance(raised.value, OtherGone)


def test_who_does_not_read_is_not_waited_for_either(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(HandoverFailed, match="does not answer in time"):
        Line(ends[0], 0.05).say("yours", servers="x" * 10_000_000)


def test_without_an_engine_before_there_is_no_line() -> None:
    for environment in ({}, {ENVIRONMENT: ""}, {ENVIRONMENT: "x"}):
        assert line_from_environment(environment, 1) is None


def test_next_engine_is_started_as_this_one_was_and_finds_the_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import os\n"
        "from lbapp.engine.supervisor.handover import line_from_environment\n"
        "line = line_from_environment(os.environ, 10)\n"
        "left = [each for each in os.environ if 'LBAPP_HANDOVER' in each]\n"
        f"line.say('ready', environment=left, parent_is_ours=os.getppid() == {os.getpid()})\n"
        "line.hear('go')\n"
    )
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", program])
    successor, line = start_successor(20)
    assert line.hear("ready") == {"kind": "ready", "environment": [], "parent_is_ours": False}
    line.say("go")
    with pytest.raises(OtherGone):
        line.hear("nothing more")
    successor.close()
    line.close()


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "import os; os.abort()", "1 / 0", "syntax error"])
def test_next_engine_that_ends_has_gone(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", program])
    successor, line = start_successor(20)
    with pytest.raises(OtherGone):
        line.hear("ready")
    successor.end(20)
    successor.close()
    line.close()


@pytest.mark.parametrize("obeys", [True, False])
def test_next_engine_ends_when_it_is_to_and_by_force_if_need_be(monkeypatch: pytest.MonkeyPatch, obeys: bool) -> None:
    ignores = "" if obeys else "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    program = (
        f"import os, signal\n{ignores}"
        "from lbapp.engine.supervisor.handover import line_from_environment\n"
        "line = line_from_environment(os.environ, 10)\n"
        "line.say('ready')\n"
        "while True: signal.pause()\n"
    )
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", program])
    successor, line = start_successor(20)
    line.hear("ready")
    successor.end(20 if obeys else 0.05)
    with pytest.raises(OtherGone):
        line.hear("anything")
    successor.close()
    successor.end(1)
    line.close()


def test_next_engine_that_cannot_be_started_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        start_successor(1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_messages_are_json_that_any_version_can_read(ends: tuple[socket.socket, socket.socket]) -> None:
    Line(ends[0], 10).say("serving", version="1")
    (length,) = struct.unpack("!I", ends[1].recv(4))
    assert json.loads(ends[1].recv(length)) == {"kind": "serving", "version": "1"}
