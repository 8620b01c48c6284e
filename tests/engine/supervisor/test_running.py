from __future__ import annotations

from lbapp.engine.supervisor.running import rows_of
from tests.engine.supervisor.support import configured, parts


def test_rows_follow_the_order_of_the_file() -> None:
    rows = rows_of(configured([("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 3)]))
    assert rows.servers == {"app/s1": 0, "app/s2": 1, "app/s3": 2}
    assert (rows.listeners, rows.pools) == ({"web": 0}, {"app": 0})


def test_scoreboard_has_room_for_the_next_generation_of_workers() -> None:
    with parts(configured(workers=3)) as own:
        layout = own.running.segment.layout
        assert (layout.slots, layout.servers) == (6, 2)
