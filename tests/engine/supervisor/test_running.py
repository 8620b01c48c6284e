from __future__ import annotations

from dataclasses import replace

import pytest

from lbapp.engine.supervisor.running import NoRoom, rows_of
from lbapp.model.discovery import Discover, DiscoverType
from lbapp.model.entities import Pool
from tests.engine.supervisor.support import configured, parts


def test_rows_follow_the_order_of_the_file() -> None:
    rows = rows_of(configured([("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 3)]))
    assert rows.servers == {"app/s1": 0, "app/s2": 1, "app/s3": 2}
    assert (rows.listeners, rows.pools) == ({"web": 0}, {"app": 0})


def test_scoreboard_has_room_for_the_next_generation_of_workers() -> None:
    with parts(configured(workers=3)) as own:
        layout = own.running.segment.layout
        assert layout.slots == 6


def test_what_has_a_row_keeps_it_and_what_is_new_gets_another() -> None:
    before = rows_of(configured([("127.0.0.1", 1), ("127.0.0.1", 2)]))
    found = Discover("app.internal", DiscoverType.ADDRESS, 80, servers_max=3)
    one = configured([("127.0.0.1", 1)])
    other = replace(one, pools=(*one.pools, Pool("found", (), discover=found)))
    after = rows_of(other, before)
    assert after.servers == {"app/s1": 0, "app/s2": 1}, "s2 is gone, and its row waits for it"
    assert (after.pools, after.reserved) == ({"app": 0, "found": 1}, {"found": (2, 3, 4)})
    three = configured([("127.0.0.1", 9), ("127.0.0.1", 1), ("127.0.0.1", 2)])
    last = rows_of(
        replace(three, pools=(*three.pools, Pool("found", (), discover=replace(found, servers_max=4)))), after
    )
    assert last.servers == {"app/s1": 0, "app/s2": 1, "app/s3": 5}
    assert last.reserved == {"found": (2, 3, 4, 6)}


def test_more_than_there_is_memory_for_is_said_with_the_figure() -> None:
    with parts(configured([("127.0.0.1", 1)])) as own:
        most = own.running.segment.layout.servers
        grown = own.running.next(configured([("127.0.0.1", port) for port in range(1, most + 1)]))
        assert (grown.generation, len(grown.rows.servers)) == (2, most)
        with pytest.raises(NoRoom, match=f"has had {most + 1} servers since its start, and has memory for {most}"):
            own.running.next(configured([("127.0.0.1", port) for port in range(1, most + 2)]))
