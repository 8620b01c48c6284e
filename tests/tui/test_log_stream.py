from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import anyio
import anyio.lowlevel
import pytest

from lbapp.control.looking import LogLine, Skipped
from lbapp.model.errors import EngineUnreachable, RequestRefused
from lbapp.tui.log_stream import WAITING_MAX, LogStream
from tests.tui.exchange_lines import log_line

pytestmark = pytest.mark.anyio


class Lines:
    """Lines; then it raises what it is given, once."""

    def __init__(self, lines: list[LogLine | Skipped], error: Exception | None = None) -> None:
        self.lines = lines
        self.error = error
        self.asked: list[dict[str, str]] = []

    async def follow(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        self.asked.append(dict(query))
        for line in self.lines:
            yield line
        self.lines = []  # when the last has been taken
        error, self.error = self.error, None
        if error is not None:
            raise error
        await anyio.sleep_forever()


async def followed(source: Lines, query: dict[str, str], times: int = 1) -> LogStream:
    stream = LogStream(source.follow)
    with anyio.fail_after(25):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.run, query)
            while len(source.asked) < times or source.lines:
                await anyio.sleep(0.01)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    return stream


async def test_rows_and_what_was_skipped_are_fetched_once() -> None:
    stream = await followed(Lines([log_line(), {"skipped": 7}, log_line(status=503)]), {"pool": "app"})
    rows, skipped = stream.fetch()
    assert [row.status for row in rows] == [200, 503]
    assert skipped == 7
    assert stream.fetch() == ([], 0)


async def test_engine_that_was_away_is_asked_again() -> None:
    source = Lines([log_line()], EngineUnreachable("no engine answers on s", ""))
    await followed(source, {"failed": "1"}, times=2)
    assert source.asked == [{"failed": "1"}] * 2


async def test_refusal_is_said_and_not_asked_again() -> None:
    source = Lines([], RequestRefused("no_log", "a past has no log\x1b", "Look at the present", 404))
    stream = LogStream(source.follow)
    with anyio.fail_after(25):
        await stream.run({})
    assert stream.problem == "a past has no log·. Look at the present"
    assert source.asked == [{}]


async def test_line_of_another_version_is_said_and_ends_nothing() -> None:
    strange: Skipped = {"skipped": "x"}  # type: ignore[typeddict-item]
    stream = await followed(Lines([log_line(), strange]), {})
    assert "of another version" in stream.problem
    assert len(stream.fetch()[0]) == 1


async def test_what_waits_to_be_fetched_is_limited_and_the_rest_counted() -> None:
    lines: list[LogLine | Skipped] = [log_line() for _ in range(WAITING_MAX + 50)]
    rows, skipped = (await followed(Lines(lines), {})).fetch()
    assert (len(rows), skipped) == (WAITING_MAX, 50)
