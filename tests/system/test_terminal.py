"""The terminal that tests look at programs in: what it reads, presses and paints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.system.terminal import NotShown, Terminal

pytestmark = pytest.mark.system


@contextmanager
def python(code: str, shown: str = "ready") -> Iterator[Terminal]:
    """Run this in a terminal until the block ends; it shows that text when the block begins."""
    with Terminal([sys.executable, "-u", "-c", code], size=(40, 10)) as terminal:
        terminal.wait_for(shown)
        yield terminal


def test_sequence_that_comes_in_two_reads_is_painted_as_one() -> None:
    code = (
        "import sys, tty; tty.setraw(0); sys.stdout.write('\\x1b[7mab\\x1b[0'); sys.stdout.flush(); sys.stdin.read(1)\n"
        "sys.stdout.write('mcd'); sys.stdout.flush(); sys.stdin.read(1)"
    )
    with python(code, "ab") as terminal:
        terminal.press("enter")
        terminal.wait_for("cd")
        assert terminal.lines[0].strip() == "abcd"
        assert [terminal.screen.buffer[0][column].reverse for column in range(4)] == [True, True, False, False]


def test_questions_to_the_terminal_are_not_painted_and_stay_in_what_was_written() -> None:
    with python(r"print('\x1b[>25u\x1b[?2026$p\x1b[=0cseen'); input()", "seen") as terminal:
        assert terminal.lines[0].strip() == "seen"
        assert b"\x1b[?2026$p" in terminal.raw


def test_highlighted_rows_are_those_in_reverse_and_those_on_another_background() -> None:
    rows = ["plain", "\x1b[7m" + "a" * 30 + "\x1b[0m", "\x1b[7mab\x1b[0m", "\x1b[44m" + "b" * 30]
    code = f"for row in {rows!r}: print(row)\ninput()"
    with python(code, "bbb") as terminal:
        assert terminal.highlighted() == [1, 3]


def test_arrows_are_sent_as_the_program_asked_for_them() -> None:
    code = (
        "import sys, tty; tty.setraw(0); sys.stdout.write('ready'); sys.stdout.flush()\n"
        "while True: print(sys.stdin.read(1).encode())"
    )
    with python(code) as terminal:
        terminal.press("down")
        terminal.wait_for("b'['", "b'B'")
    with python(code.replace("'ready'", r"'\x1b[?1hready'")) as terminal:
        terminal.press("down")
        terminal.wait_for("b'O'", "b'B'")


def test_new_size_reaches_the_program() -> None:
    code = (
        "import os, signal\nsignal.signal(signal.SIGWINCH, lambda *_: print(os.get_terminal_size()))\n"
        "print('ready')\nwhile True: signal.pause()"
    )
    with python(code) as terminal:
        terminal.resize(70, 12)
        terminal.wait_for("columns=70", "lines=12")


def test_program_that_has_keys_to_read_or_computes_is_not_idle() -> None:
    code = (
        "import time\nprint('ready')\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass\n"
        "input(); print('idle'); input()"
    )
    with python(code) as terminal:
        terminal.press("enter")
        terminal.wait_until_idle()
        assert "idle" in terminal.text


def test_what_never_comes_is_told_with_the_screen() -> None:
    with python("print('this'); input()", "this") as terminal, pytest.raises(NotShown, match="this"):
        terminal.wait_for("that", timeout_s=0.1)


def test_line_that_is_hung_up_ends_the_program() -> None:
    with python("import signal; print('ready'); signal.pause()") as terminal:
        terminal.hang_up()
        assert terminal.process.wait(25) != 0
