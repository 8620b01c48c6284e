"""Asking the system's resolver without having to wait for it.

Responsible for one question at a time about each name, asked in a thread that nobody joins. Knows nothing of servers or
of what an answer is for. The event loop's own threads are not used: there are few of them, so that some names without an
answer would hold up all others, and a process waits for them before it ends.

Invariants: a name is never asked about twice at once, so there are never more threads than names; whoever stops waiting
is free at once, and so is the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from threading import Thread
from typing import Final

Answer = tuple[tuple[int, str], ...]  # address family, IP address

_STILL_ASKED: Final = "the resolver has not answered yet"


class Lookup:
    """The questions that are open."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    async def ask(self, name: str) -> Answer:
        """Return the addresses of a name, each once. Raises OSError and UnicodeError as the resolver does.

        Raises OSError, too, while an earlier question about the name has no answer.
        """
        if name in self._open:
            raise OSError(_STILL_ASKED)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()
        self._open.add(name)

        def deliver(answer: Answer | Exception) -> None:
            self._open.discard(name)
            if answered.done():  # nobody waits any more
                return
            if isinstance(answer, Exception):
                answered.set_exception(answer)
            else:
                answered.set_result(answer)

        def run() -> None:
            answer = _resolved(name)
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(deliver, answer)

        Thread(target=run, name=f"resolve {name}", daemon=True).start()
        return await answered


def _resolved(name: str) -> Answer | Exception:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    return tuple(dict.fromkeys((int(entry[0]), str(entry[4][0])) for entry in found))
