"""Looking back at moments."""

from __future__ import annotations

import pytest

from lbapp.control.recall import Past, course, rates, status_at
from lbapp.model.amounts import Subject
from lbapp.model.errors import RequestRefused
from lbapp.model.histogram import middle_us
from lbapp.model.history import Moment, Node, RowWas, ServerWas, Table, encode_moment, table_number
from lbapp.model.history_file import Frame, FrameKind, Ring

TABLE = Table(
    ("web", "tcp"),
    ("app", "api"),
    (
        ServerWas("app/s1", "drain", "up", 50),
        ServerWas("app/s2", "ready", "down", 100),
        ServerWas("api/s1", "ready", "up", 1),
    ),
)
APP_S1, APP = Subject("server", "app/s1"), Subject("pool", "app")


def put(past: Past, ring: Ring, at: float, seconds: float, rows: dict[int, RowWas], table: Table = TABLE) -> None:
    encoded = table.encoded()
    moment = encode_moment(Moment(table_number(encoded), seconds, Node(123, 2**20, 9), rows))
    past.add(ring, [Frame(FrameKind.TABLE, 0, at, encoded, 0), Frame(FrameKind.MOMENT, 0, at, moment, 0)])


def hour() -> Past:
    """Minutes that end at 60, 120 and 180 s; the seconds from 181 to 200 s."""
    past = Past()
    for at in (60.0, 120.0, 180.0):
        put(past, Ring.MINUTES, at, 60.0, {4: RowWas(600, 6, 3, 100, 200), 0: RowWas(600, 6, 3, 100, 200)})
    for second in range(181, 201):
        put(past, Ring.SECONDS, float(second), 1.0, {4: RowWas(second, 1, 2, 100, 200)})
    return past


def test_status_is_that_of_the_second_that_had_just_ended() -> None:
    found = status_at(hour(), 190.2)
    assert (found["at"], found["seconds"]) == (190.0, 1.0)
    assert found["node"] == {"cpu_percent": 12.3, "memory_bytes": 2**20, "connections": 9}
    server = found["pools"][0]["servers"][0]
    assert (server["id"], server["admin"], server["health"], server["weight"]) == ("app/s1", "drain", "up", 50)
    assert (server["requests"], server["error_rate"], server["in_flight"]) == (190, round(1 / 190, 4), 2)
    assert server["p99"] == middle_us(200) / 1000
    assert [each["id"] for each in found["pools"][1]["servers"]] == ["api/s1"]
    assert found["listeners"][1] == {
        "name": "tcp", "requests": 0, "requests_per_s": 0.0, "errors": 0, "error_rate": None, "in_flight": 0, "p50": None,
        "p99": None,
    }  # fmt: skip


def test_status_of_a_time_whose_seconds_are_gone_is_that_of_its_minute() -> None:
    found = status_at(hour(), 100.0)
    assert (found["at"], found["seconds"]) == (120.0, 60.0)
    assert found["listeners"][0]["requests_per_s"] == 10.0


@pytest.mark.parametrize("at", [-10.0, 300.0])
def test_time_that_nothing_is_recorded_of_is_refused_with_what_there_is(at: float) -> None:
    with pytest.raises(RequestRefused, match="nothing is recorded of that time") as refused:
        status_at(hour(), at)
    assert refused.value.hint == "The history goes back to 60 and ends at 200 (Unix time)"
    with pytest.raises(RequestRefused):
        status_at(Past(), at)


def test_course_by_the_minute_has_the_minute_under_way_out_of_its_seconds_without_percentiles() -> None:
    points = course(hour(), APP_S1, (0.0, 1000.0), 60)["points"]
    assert [(each["at"], each["requests"], each["seconds"]) for each in points] == [
        (60.0, 600, 60.0), (120.0, 600, 60.0), (180.0, 600, 60.0), (200.0, sum(range(181, 201)), 20.0),
    ]  # fmt: skip
    assert points[0]["p50"] == middle_us(100) / 1000
    assert (points[3]["p50"], points[3]["in_flight"], points[3]["errors"]) == (None, 2, 20)
    assert (points[0]["admin"], points[0]["weight"], points[0]["ready"]) == ("drain", 50, None)


def test_seconds_of_a_minute_that_is_recorded_are_not_counted_twice() -> None:
    past = hour()
    for second in range(121, 181):
        put(past, Ring.SECONDS, float(second), 1.0, {4: RowWas(10, 0, 0, 100, 200)})
    assert [each["at"] for each in course(past, APP_S1, (100.0, 1000.0), 60)["points"]] == [120.0, 180.0, 200.0]


def test_course_of_a_pool_says_how_many_servers_were_ready_and_of_the_node_what_it_cost() -> None:
    pool = course(hour(), APP, (0.0, 100.0), 60)["points"][0]
    assert (pool["ready"], pool["servers"], pool["requests"]) == (0, 2, 0)
    node = course(hour(), None, (0.0, 100.0), 60)
    assert (node["kind"], node["points"][0]["requests"]) == ("node", 600)
    assert node["points"][0]["node"] == {"cpu_percent": 12.3, "memory_bytes": 2**20, "connections": 9}


def test_moment_whose_table_is_gone_is_passed_over() -> None:
    past = hour()
    past._encoded.clear()
    with pytest.raises(RequestRefused, match="nothing is recorded of server app/s1"):
        course(past, APP_S1, (0.0, 1000.0), 60)


def test_moment_that_is_none_is_passed_over() -> None:
    past = hour()
    past.add(Ring.SECONDS, [Frame(FrameKind.MOMENT, 0, 201.0, b"damaged", 0)])
    assert [each["at"] for each in course(past, APP_S1, (199.0, 1000.0), 1)["points"]] == [200.0]


def test_server_that_was_not_there_has_no_points_then() -> None:
    past = hour()
    put(past, Ring.SECONDS, 201.0, 1.0, {}, Table(("web",), ("app",), TABLE.servers[1:2]))
    assert [each["at"] for each in course(past, APP_S1, (198.0, 1000.0), 1)["points"]] == [199.0, 200.0]


def test_rates_are_of_every_pool_and_server_second_by_second_and_none_where_there_was_no_such() -> None:
    past, other = hour(), Table(("web",), ("app",), (ServerWas("app/s1", "ready", "up", 1),))
    put(past, Ring.SECONDS, 201.0, 2.0, {2: RowWas(50, 0, 0, None, None)}, other)
    found = rates(past, (198.0, 201.0))
    assert found["at"] == [199.0, 200.0, 201.0]
    assert found["servers"]["app/s1"] == [199.0, 200.0, 25.0]
    assert found["servers"]["app/s2"] == [0.0, 0.0, None]
    assert found["pools"] == {"app": [0.0, 0.0, 0.0], "api": [0.0, 0.0, None]}
    assert rates(past, (0.0, 100.0)) == {"at": [], "pools": {}, "servers": {}}
