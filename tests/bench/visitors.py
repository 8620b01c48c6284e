"""Clients that mean well, at a steady rate: what they wait, and how many of them are not served.

Responsible for sending requests at the times they are due, whatever became of those before (an open loop), some on connections
that are kept and some on new ones, and for the time from when each was due to its last byte. Knows nothing of attackers.

Invariant: every request that was due is either answered with 200 or counted as a failure, however slow the others were.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.bench.backends import BODY
from tests.bench.heads import request_heads
from tests.bench.process import HOST

NEW_EACH: Final = 5  # every so many requests, one comes on a connection of its own
TIMEOUT_S: Final = 5.0
_KEPT_MAX: Final = 64

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Visit:
    """One stretch of time: milliseconds from when each request was due to its last byte; others by what came instead."""

    waited_ms: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        """Return what such a share of the served requests did not exceed; 0 without any."""
        ordered = sorted(self.waited_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def visit(port: int, rate: int, seconds: float) -> Visit:
    """Ask `rate` times a second for so long, and wait for the last answer."""
    return asyncio.run(_visit(port, rate, seconds))


async def _visit(port: int, rate: int, seconds: float) -> Visit:
    heads = request_heads(256)
    found = Visit()
    kept: list[Connection] = []
    tasks = []
    started = time.perf_counter() + 0.05
    for number in range(int(rate * seconds)):
        due = started + number / rate
        if (delay := due - time.perf_counter()) > 0:
            await asyncio.sleep(delay)
        own = number % NEW_EACH == 0
        tasks.append(asyncio.create_task(_ask(port, heads[number % len(heads)], due, found, None if own else kept)))
    await asyncio.gather(*tasks)
    for _, writer in kept:
        writer.close()
    return found


async def _ask(port: int, head: bytes, due: float, found: Visit, kept: list[Connection] | None) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            what = await _asked(port, head, kept)
    except TimeoutError:
        what = "no answer in time"
    except (OSError, EOFError):
        what = "connection lost"
    if what:
        found.failures[what] += 1
    else:
        found.waited_ms.append((time.perf_counter() - due) * 1e3)


async def _asked(port: int, head: bytes, kept: list[Connection] | None) -> str:
    connection = kept.pop() if kept else await asyncio.open_connection(HOST, port)
    reader, writer = connection
    is_kept = False
    try:
        writer.write(head)
        fields = await reader.readuntil(b"\r\n\r\n")
        status = fields[9:12].decode("ascii", "replace")
        if status != "200":
            return status
        if await reader.readexactly(len(BODY)) != BODY:
            return "wrong body"
        is_kept = kept is not None and len(kept) < _KEPT_MAX and b"connection: close" not in fields.lower()
        return ""
    finally:
        if is_kept and kept is not None:
            kept.append(connection)
        else:
            writer.close()


def merged(visits: Sequence[Visit]) -> Visit:
    """Return several stretches as one."""
    failures: Counter[str] = Counter()
    for each in visits:
        failures.update(each.failures)
    return Visit([waited for each in visits for waited in each.waited_ms], failures)
