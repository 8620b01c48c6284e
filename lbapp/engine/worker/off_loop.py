"""Work that takes milliseconds, done beside the event loop.

Responsible for one thread, and for bringing its results back to the loop. Knows nothing of what is worked out. It shares the
interpreter with the loop, so the worker has the interpreter change hands often (see `run`). Invariant: results arrive in the
order the work was given, and on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")
_thread = ThreadPoolExecutor(1, "off-loop")


def off_loop(work: Callable[[], _Result], done: Callable[[_Result], None]) -> None:
    """Have `work` done by the thread and call `done` with what it returns. To be called on the loop, or in its select."""
    loop = asyncio.get_running_loop()

    def bring_back(finished: Future[_Result]) -> None:
        result = finished.result()  # an error of the work is logged by the executor
        try:
            loop.call_soon_threadsafe(done, result)
        except RuntimeError:
            return  # the loop has ended meanwhile

    _thread.submit(work).add_done_callback(bring_back)
