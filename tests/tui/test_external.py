"""The operator's own editor in front of the console, in a terminal of its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.terminal import Terminal
from tests.tui.engine_double import EngineDouble, answering

OPEN, SHUT = "EDITOR IS OPEN", "EDITOR IS SHUT"
ALTERNATE = b"\x1b[?1049h"
F4 = "\x1b[14~"


@pytest.fixture
def double() -> EngineDouble:
    engine = EngineDouble()
    engine.toml = 'one = "1"\n'
    return engine


@pytest.fixture
def socket(double: EngineDouble, tmp_path: Path) -> Iterator[Path]:
    with answering(double, tmp_path / "c.sock"):
        yield tmp_path / "c.sock"


def started(socket: Path, editor: str) -> Terminal:
    folder = socket.parent
    (folder / "editor").write_text(f"#!/bin/sh\necho $$ > {folder}/pid\n{editor}\n")
    (folder / "editor").chmod(0o700)
    os.mkfifo(folder / "fifo")
    command = [sys.executable, "-m", "lbapp", "--socket", str(socket), "tui"]
    return Terminal(command, env={"VISUAL": f"{folder}/editor", "XDG_STATE_HOME": str(folder / "state")})


def open_editor(terminal: Terminal) -> None:
    terminal.wait_for("LIVE")
    terminal.press("6")
    terminal.wait_for("no draft")
    terminal.press(F4)


def test_engine_is_followed_and_nothing_is_painted_while_the_editor_has_the_terminal(
    double: EngineDouble, socket: Path
) -> None:
    fifo = socket.parent / "fifo"
    looks: list[None] = []
    current = double.current

    def counted() -> object:
        looks.append(None)
        return current()

    double.current = counted  # type: ignore[method-assign, assignment]  # each line of the feed asks for it
    with started(socket, f'echo "{OPEN}"; cat {fifo}; echo "# edited" >> "$1"; echo "{SHUT}"') as terminal:
        open_editor(terminal)
        terminal.wait_for(OPEN)
        enough = len(looks) + 60  # more than what fits between an engine and a console that does not read
        terminal.until(lambda: len(looks) > enough)
        fifo.write_text("")
        terminal.wait_for("# edited", "1 place changed")
        between = bytes(terminal.raw).partition(OPEN.encode())[2].partition(SHUT.encode())[0]
        assert between.strip() == b""
        assert terminal.process.poll() is None


def test_console_can_be_ended_while_the_editor_is_open_and_takes_it_along(socket: Path) -> None:
    with started(socket, f'echo "{OPEN}"; exec cat {socket.parent}/fifo') as terminal:
        open_editor(terminal)
        terminal.wait_for(OPEN)
        os.kill(terminal.process.pid, signal.SIGTERM)
        terminal.wait_for_end()
    with pytest.raises(ProcessLookupError):
        os.kill(int((socket.parent / "pid").read_text()), 0)


@pytest.mark.parametrize(("editor", "said"), [("exit 3", "ended with status 3"), ("rm $0", "no draft")])
def test_editor_that_fails_leaves_the_draft_as_it_was(socket: Path, editor: str, said: str) -> None:
    with started(socket, editor) as terminal:
        open_editor(terminal)
        terminal.until(lambda: terminal.raw.count(ALTERNATE) == 2)  # the console has taken the terminal back
        terminal.wait_for(said, "no draft")
        terminal.wait_until_idle()
        terminal.press(F4)  # of one that is gone by now, or fails again
        terminal.until(lambda: terminal.raw.count(ALTERNATE) == 3)
        terminal.wait_for("could not edit" if editor == "rm $0" else said)
        terminal.wait_until_idle()
        terminal.press("1")
        terminal.wait_for("[1 Overview]")


def test_editor_is_given_what_was_typed_a_moment_before(socket: Path) -> None:
    given = socket.parent / "given"
    with started(socket, f'cp "$1" {given}; echo "# edited" >> "$1"') as terminal:
        terminal.wait_for("LIVE")
        terminal.press("6")
        terminal.wait_for("no draft")
        terminal.send(f"i# typed {F4}".encode())  # at one stroke: F4 is there before any of it is counted or painted
        terminal.wait_for("# edited")
        terminal.wait_for("# typed")
    assert given.read_text() == '# typed one = "1"\n'
