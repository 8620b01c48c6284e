"""No test holds up a run: what goes on long after its time is ended by force.

pytest-timeout raises in a test whose time is over, once. Whatever waits for a child on its way out, as a block of
`subprocess.Popen` does, then waits for as long as the child lives, and a test that has failed has no time limit in its teardown
at all. So there is a second limit behind the first: then all children are killed, so that the wait is over and the test fails by
its own error. Where even that does not end it, the process is ended, which pytest-xdist reports as a failure of this test before
it goes on in another.

Invariant: only children of this process are killed, and only while the test that is overdue still runs.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
from collections.abc import Generator
from typing import Protocol, TextIO

import psutil
import pytest


class Settings(Protocol):
    """What pytest-timeout says about a test."""

    timeout: float | None


class Watchdog:
    """Ends one test at a time that does not end by itself.

    `grace_s`: what it has after its time, and then once more; `told`: where it is said, past what pytest captures.
    """

    def __init__(self, grace_s: float, told: TextIO) -> None:
        self._grace_s = grace_s
        self._told = told
        self._over = threading.Event()

    def watch(self, name: str, timeout_s: float) -> None:
        """Give a test so long."""
        self._over = threading.Event()
        threading.Thread(target=self._watch, args=(name, timeout_s, self._over), name="watchdog", daemon=True).start()

    def leave(self) -> None:
        """The test is over."""
        self._over.set()

    def _watch(self, name: str, timeout_s: float, over: threading.Event) -> None:
        if over.wait(timeout_s + self._grace_s):
            return
        children = psutil.Process().children(recursive=True)
        self._say(f"{name} does not end after its {timeout_s:g} s: {len(children)} children are killed")
        for child in children:
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                child.kill()
        if over.wait(self._grace_s):
            return
        self._say(f"{name} does not end without its children either: the process is ended")
        os._exit(1)

    def _say(self, sentence: str) -> None:
        print(f"\nwatchdog: {sentence}", file=self._told, flush=True)
        faulthandler.dump_traceback(self._told)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("grace", "Seconds after a test's timeout until its children are killed", default="20")


def pytest_configure(config: pytest.Config) -> None:
    told = os.fdopen(os.dup(2), "w")  # nothing is captured yet
    config.stash[_WATCHDOG] = Watchdog(float(config.getini("grace")), told)


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Settings) -> None:
    """See pytest-timeout, which goes on to set its own."""
    if settings.timeout and settings.timeout > 0:
        item.config.stash[_WATCHDOG].watch(item.nodeid, settings.timeout)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch until the end of the teardown: pytest-timeout goes away with the first error."""
    try:
        return (yield)
    finally:
        item.config.stash[_WATCHDOG].leave()


_WATCHDOG = pytest.StashKey[Watchdog]()
