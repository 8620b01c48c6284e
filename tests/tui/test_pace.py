"""How often is painted, and a terminal that takes nothing."""

from __future__ import annotations

import os
import pty
import queue
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

from lbapp.tui.pace import FRAME_S, FRAME_S_MAX, KEY_FRAMES_PER_S, Pace, is_terminal_behind


def test_terminal_that_keeps_up_gets_every_frame() -> None:
    pace = Pace()
    assert all(pace.may_paint(frame * 0.5, is_behind=False) for frame in range(100))
    assert pace.pause_s == FRAME_S


def test_frames_are_skipped_while_the_last_one_is_under_way_and_after_two_the_rate_is_halved() -> None:
    pace = Pace()
    assert pace.may_paint(0.0, is_behind=False)
    assert not pace.may_paint(0.5, is_behind=True)
    assert pace.may_paint(1.0, is_behind=False)
    assert not pace.is_slow
    assert [pace.may_paint(now, is_behind=True) for now in (1.5, 2.0)] == [False, False]
    assert pace.pause_s == 1.0
    assert not pace.may_paint(2.5, is_behind=False)
    assert pace.may_paint(3.0, is_behind=False)


def test_rate_falls_to_its_least_and_comes_back_when_the_terminal_keeps_up() -> None:
    pace, now = Pace(), 0.0
    for _ in range(200):
        now += 0.5
        pace.may_paint(now, is_behind=True)
    assert pace.pause_s == FRAME_S_MAX
    painted = 0
    for _ in range(1000):
        now += 0.5
        painted += pace.may_paint(now, is_behind=False)
    assert not pace.is_slow
    assert painted > 500


def test_terminal_is_behind_while_a_frame_waits_or_while_it_takes_nothing() -> None:
    master, slave = pty.openpty()
    try:
        os.set_blocking(slave, False)
        waiting: queue.Queue[str] = queue.Queue()
        driver = SimpleNamespace(_writer_thread=SimpleNamespace(_queue=waiting, fileno=lambda: slave))
        assert not is_terminal_behind(driver)
        waiting.put("frame")
        assert is_terminal_behind(driver)
        waiting.get()
        while not is_terminal_behind(
            driver
        ):  # the kernel passes on what was written a moment later, and has room again
            with suppress(BlockingIOError):
                while True:
                    os.write(slave, b"x" * 4096)
        while is_terminal_behind(driver):
            os.read(master, 65536)
    finally:
        os.close(master)
        os.close(slave)
    assert not is_terminal_behind(None)


def test_keys_are_painted_more_often_than_textual_does_by_itself_unless_the_environment_says_how_often() -> None:
    code = (
        "from lbapp.tui.pace import hurry; hurry(); from textual import screen; print(round(1 / screen.UPDATE_PERIOD))"
    )
    for said, painted in (({}, KEY_FRAMES_PER_S), ({"TEXTUAL_FPS": "30"}, 30)):
        environment = {name: value for name, value in os.environ.items() if name != "TEXTUAL_FPS"} | said
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert int(done.stdout) == painted
