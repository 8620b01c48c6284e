"""Waiting for nothing but time, on the data path.

Responsible for resuming a coroutine of the reactor after a while. Knows nothing of why. The sweep of deadlines is too coarse
for the short waits between attempts, so the event loop's own timers are used, and woken, as they are rarely needed.
Invariant: the coroutine is resumed exactly once.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator

from lbapp.engine.worker.reactor import Reactor


@types.coroutine
def pause(reactor: Reactor, delay_s: float) -> Generator[None, None, None]:
    """Let `delay_s` pass."""
    task = reactor.current
    assert task is not None
    loop = asyncio.get_running_loop()
    loop.call_soon_threadsafe(loop.call_later, delay_s, reactor.start, task)
    yield
