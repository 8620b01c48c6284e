from __future__ import annotations

import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.totals import server_totals
from lbapp.engine.supervisor.history import History
from tests.engine.supervisor.support import parts

pytestmark = pytest.mark.anyio


async def test_row_that_did_not_move_is_not_added_up_again_and_one_that_did_is() -> None:
    with parts() as own:
        history, segment = History(own.running.segment, own.running.rows), own.running.segment
        own.count_requests("s1", 1)
        first, second = history.now(), history.now()
        assert first.servers[0] == second.servers[0] == server_totals(segment, 0)
        assert history.now().servers[0] is second.servers[0]
        # A worker counts first and then adds to the histogram; a reading may come in between.
        own.count_requests("s1", 1)
        between = history.now()
        segment.cells[segment.layout.server(0, 0) + at.SERVER_TOTAL] += 1
        assert history.now().servers[0] == server_totals(segment, 0) != between.servers[0]


async def test_rates_are_counted_from_the_oldest_reading_that_is_kept() -> None:
    with parts() as own:
        history = History(own.running.segment, own.running.rows)
        own.count_requests("s1", 5)
        assert history.earlier().servers[0].requests == 0
        assert history.now().servers[0].requests == 5
