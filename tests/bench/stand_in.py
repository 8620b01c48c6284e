"""An engine's place taken by messages made ahead of time: `python -m tests.bench.stand_in SOCKET SERVERS`.

Responsible for whole messages of many servers in 24 pools, every counter of which is another twice a second, and for handing
them out at next to no cost, so that what is measured is the console. Knows nothing of the console. What it is asked besides it
answers as `tests/tui/engine_double.py` does.

Invariants: each line of the live feed is one of `control.live`, its `at` the moment it was sent; every server's figures are in
every line.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import AsyncIterator
from itertools import chain, cycle, pairwise
from pathlib import Path
from typing import Any, Final

import anyio
import uvicorn
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lbapp.control.live import STATES_EVERY_S
from lbapp.control.messages import ServerStatus, Status
from tests.tui.engine_double import EngineDouble, live_line, live_tables, percentiles, server, status

POOLS: Final = 24
PERIOD_S: Final = 0.5
_FRAMES: Final = 6
_AT: Final = 1_000_000_000.125  # stands in a message where the moment of its sending belongs
_Line = tuple[bytes, bytes]  # what stands before that moment and behind it


def pool_name(number: int) -> str:
    return f"p{number % POOLS + 1:02}"


def server_name(number: int) -> str:
    """Return a name that no two servers share, whatever their pools."""
    return f"s{number + 1:05}"


def many_servers(count: int) -> list[ServerStatus]:
    """Return so many servers, those of a pool behind one another, their addresses without the digits 7, 8 and 9."""
    found = []
    for number in sorted(range(count), key=lambda number: number % POOLS):
        one = server(pool_name(number), server_name(number))
        one["address"] = f"10.{_plain(number // 1296)}.{_plain(number // 36)}.{_plain(number)}:5000"
        found.append(one)
    return found


def _plain(number: int) -> int:
    """Return two digits of 0 to 5 for a number below 36."""
    return number // 6 % 6 * 10 + number % 6


def _move(one: ServerStatus, source: random.Random) -> None:
    """Let half a second pass at a server: every counter and gauge becomes another."""
    rate = round(source.uniform(5, 900), 1)
    one["requests_per_s"] = rate
    one["requests_total"] += int(rate / 2) + 1
    one["connections"] = one["connections"] % 60 + source.randint(1, 30)
    one["connections_total"] += source.randint(1, 9)
    one["in_flight"] = one["in_flight"] % 20 + source.randint(1, 9)
    one["idle_connections"] = one["idle_connections"] % 20 + source.randint(1, 9)
    one["bytes_in_total"] += int(rate * 700)
    one["bytes_out_total"] += int(rate * 9_000)
    one["error_rate"] = round(source.uniform(0.0, 0.04), 4)
    one["errors_total"] += 1
    one["responses"] = {"2xx": one["requests_total"] - one["errors_total"], "5xx": one["errors_total"]}
    one["outcomes"] = {"completed": one["requests_total"]}
    middle = source.uniform(1.0, 90.0)
    one["latency"]["total"] = percentiles(round(middle, 2))
    one["latency"]["first_byte"] = percentiles(round(middle * 0.8, 2))


class ManyServers(EngineDouble):
    """An engine of many servers that are always busy."""

    def __init__(self, count: int) -> None:
        super().__init__(many_servers(count))
        source = random.Random(count)
        for one in self.servers:
            one["latency"] = {**one["latency"]}  # each its own
        tables: list[dict[str, Any]] = []
        for _ in range(_FRAMES):
            for one in self.servers:
                _move(one, source)
            tables.append(live_tables(self._message()))
        self._whole = self._line(tables[0], {})
        # The last leads to the first: so it goes on for as long as somebody follows.
        self._changes = [self._line(now, before) for before, now in pairwise([*tables, tables[0]])]
        self._no_changes = self._line(tables[0], tables[0])

    def _message(self) -> Status:
        found = status(self.servers)
        for pool in found["pools"]:
            pool["requests_per_s"] = sum(one["requests_per_s"] for one in pool["servers"])
        found["at"] = _AT
        return found

    def _line(self, now: dict[str, Any], before: dict[str, Any]) -> _Line:
        line = json.dumps(live_line(self._message(), now, before), separators=(",", ":")).encode()
        head, mark, rest = line.partition(str(_AT).encode())
        assert mark
        return head, rest + b"\n"

    async def _watch(self, request: Request) -> Response:
        if request.query_params.get("as") != "changes":
            return await super()._watch(request)

        has_figures, is_known = request.query_params.get("figures") != "no", "after" in request.query_params

        async def lines() -> AsyncIterator[bytes]:
            due_s = anyio.current_time()
            changes, period_s = (self._changes, PERIOD_S) if has_figures else ([self._no_changes], STATES_EVERY_S)
            # Each line has all figures, and no state ever changes: who knows one line can go on with any other.
            for head, rest in chain([] if is_known else [self._whole], cycle(changes)):
                yield head + f"{time.time():.3f}".encode()
                yield rest
                due_s += period_s
                await anyio.sleep_until(due_s)

        return StreamingResponse(lines(), media_type="application/x-ndjson")


def main(socket: Path, servers: int) -> None:
    """Answer on a socket until SIGTERM."""
    engine = ManyServers(servers)
    config = uvicorn.Config(
        engine.app(), uds=str(socket), log_level="critical", lifespan="off", timeout_graceful_shutdown=0
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
