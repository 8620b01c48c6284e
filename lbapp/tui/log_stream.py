"""Following the log of a source: rows as exchanges end, for as long as somebody looks.

Responsible for coming back when the engine was away, and for saying why nothing comes. Knows nothing of screens.

Invariants: what waits to be fetched is limited, and what is beyond that is counted; a line of another version ends nothing but
itself and is said; a source that refuses is not asked again until it is asked for something else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Final, cast

import anyio
import anyio.lowlevel

from lbapp.control.looking import LogLine, Skipped
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.exchanges import ExchangeRow, exchange_row
from lbapp.tui.format import clean

RETRY_S: Final = 1.0
WAITING_MAX: Final = 1_000
AT_ONCE: Final = 32  # lines
Follow = Callable[[Mapping[str, str]], AsyncIterator[LogLine | Skipped]]


class LogStream:
    """The rows that came and were not fetched yet. `problem`: why none come, as one sentence; empty while they do."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._rows: deque[ExchangeRow] = deque()
        self._skipped = 0
        self.problem = ""

    def fetch(self) -> tuple[list[ExchangeRow], int]:
        """Return the rows since the last time, the newest last, and how many more ended that were asked for."""
        rows, skipped = list(self._rows), self._skipped
        self._rows.clear()
        self._skipped = 0
        return rows, skipped

    async def run(self, query: Mapping[str, str]) -> None:
        """Follow until cancelled, or refused."""
        self.problem = ""
        while True:
            try:
                async with aclosing(self._follow(query)) as lines:  # type: ignore[type-var]  # a generator in fact
                    number = 0
                    async for line in lines:
                        self._take(line)
                        number += 1
                        if number % AT_ONCE == 0:  # thousands may lie ready, and keys are not to wait for them
                            await anyio.lowlevel.checkpoint()
                self.problem = "the engine has ended the log"
            except RequestRefused as error:
                self.problem = clean(str(error))
                return
            except LbappError as error:
                self.problem = clean(error.message)
            await anyio.sleep(RETRY_S)

    def _take(self, line: LogLine | Skipped) -> None:
        try:
            if "skipped" in line:
                self._skipped += int(cast(Skipped, line)["skipped"])
                return
            row = exchange_row(line)
        except (KeyError, TypeError, ValueError):
            self.problem = "a line of the log is of another version: some are missing here"
            return
        if len(self._rows) == WAITING_MAX:
            self._rows.popleft()
            self._skipped += 1
        self._rows.append(row)
        self.problem = ""
