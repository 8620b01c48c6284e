"""Keys of a real terminal (a pty), taken by the driver alone: nothing is painted here.

Responsible for when it looks, for what it understands and for how it stops. What a console does with keys is tested elsewhere.
"""

import asyncio
import os
import pty
import select
import sys
import threading
import tty
from collections.abc import AsyncIterator

import pytest
from textual import events
from textual.app import App
from textual.message import Message

from lbapp.tui import driver
from lbapp.tui.driver import Bell, WaitingDriver

pytestmark = pytest.mark.anyio


class Typed:
    """A driver that reads a terminal in a thread; `keys`: what came so far; `waits`: how long each look was to last."""

    def __init__(self, typed_into: int, keyboard: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keyboard = keyboard
        self.waits: list[float | None] = []
        self.keys: asyncio.Queue[str] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        monkeypatch.setattr(driver, "select", self.select)
        with os.fdopen(typed_into, closefd=False) as stdin, monkeypatch.context() as patch:
            patch.setattr(sys, "__stdin__", stdin)
            self.driver = WaitingDriver(App[None]())
        monkeypatch.setattr(self.driver, "process_message", self.take)
        self.thread = threading.Thread(target=self.driver.run_input_thread)

    def select(self, *arguments: object) -> object:
        self.waits.append(arguments[-1])  # type: ignore[arg-type]
        return select.select(*arguments)  # type: ignore[arg-type]

    def take(self, message: Message) -> None:
        name = message.key if isinstance(message, events.Key) else type(message).__name__
        self.loop.call_soon_threadsafe(self.keys.put_nowait, name)

    async def type(self, data: bytes, count: int) -> list[str]:
        """Type it, and return the next so many keys."""
        os.write(self.keyboard, data)
        async with asyncio.timeout(20):
            return [await self.keys.get() for _ in range(count)]

    async def ended(self) -> bool:
        await asyncio.to_thread(self.thread.join, 20)
        return not self.thread.is_alive()


@pytest.fixture
async def typed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Typed]:
    keyboard, typed_into = pty.openpty()
    tty.setraw(typed_into)
    found = Typed(typed_into, keyboard, monkeypatch)
    found.thread.start()
    yield found
    found.driver.exit_event.set()
    assert await found.ended()
    os.close(keyboard)
    os.close(typed_into)


async def test_keys_come_as_they_are_typed_and_nobody_looks_in_between(typed: Typed) -> None:
    assert await typed.type(b"ab", 2) == ["a", "b"]
    assert await typed.type(b"\x1b[A", 1) == ["up"]
    assert await typed.type("ü€".encode(), 2) == ["ü", "euro_sign"]
    assert set(typed.waits) == {None}


async def test_escape_by_itself_waits_as_long_as_it_may_be_the_first_of_more_and_no_longer(typed: Typed) -> None:
    assert await typed.type(b"\x1b", 1) == ["escape"]
    timed = [wait for wait in typed.waits if wait is not None]
    assert timed
    assert max(timed) <= 0.1
    typed.waits.clear()
    assert await typed.type(b"x", 1) == ["x"]
    assert set(typed.waits) <= {None}


async def test_key_that_comes_in_pieces_is_one_key(typed: Typed) -> None:
    os.write(typed.keyboard, b"\x1b")
    while not any(wait is not None for wait in typed.waits):
        await asyncio.sleep(0)
    assert await typed.type(b"[B", 1) == ["down"]
    os.write(typed.keyboard, "€".encode()[:1])
    assert await typed.type("€".encode()[1:], 1) == ["euro_sign"]


async def test_paste_is_one_paste_whatever_it_has_in_it(typed: Typed) -> None:
    assert await typed.type(b"\x1b[200~d\x1b[31mKy\x1b[201~x", 2) == ["Paste", "x"]


async def test_what_was_typed_before_input_is_switched_off_is_taken(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed_and_switched_off(*arguments: object) -> object:
        monkeypatch.setattr(driver, "select", typed.select)
        os.write(typed.keyboard, b"z")
        typed.driver.exit_event.set()
        return [typed.driver.exit_event], [], []  # woken by this, and the key came in the same moment

    monkeypatch.setattr(driver, "select", typed_and_switched_off)
    assert await typed.type(b"y", 2) == ["y", "z"]
    assert await typed.ended()


async def test_input_is_switched_off_without_a_key_and_on_again(typed: Typed) -> None:
    typed.driver.exit_event.set()
    assert await typed.ended()
    typed.driver.exit_event.clear()
    typed.thread = threading.Thread(target=typed.driver.run_input_thread)
    typed.thread.start()
    assert await typed.type(b"c", 1) == ["c"]


async def test_end_of_what_is_read_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    typed = Typed(read, write, monkeypatch)
    typed.thread.start()
    assert await typed.type(b"q", 1) == ["q"]
    os.close(write)
    assert await typed.ended()
    os.close(read)


async def test_bell_is_readable_as_long_as_it_is_set() -> None:
    bell = Bell()

    def is_readable() -> bool:
        return bool(select.select([bell], [], [], 0)[0])

    assert not is_readable()
    bell.set()
    bell.set()
    assert bell.is_set()
    assert is_readable()
    bell.clear()
    assert not bell.is_set()
    assert not is_readable()
    bell.clear()
    assert not is_readable()
