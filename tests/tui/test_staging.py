from __future__ import annotations

import pytest

from lbapp.tui.scene import Target
from lbapp.tui.staging import adopt, clean_event, clean_value, scene_of, server_row
from tests.tui.engine_double import ME, drain, server, status


def test_texts_are_cleaned_wherever_they_stand() -> None:
    assert clean_value({"a\n": ["\x1b", 1, None, {"b": "\t"}]}) == {"a·": ["·", 1, None, {"b": "·"}]}


def test_ids_that_look_alike_stay_apart_and_lead_to_their_real_server() -> None:
    scene = scene_of(status([server("app", "s\x1b"), server("app", "s\n")]))
    assert [one.id for one in scene.servers()] == ["app/s·", "app/s·~2"]
    assert [one.target for one in scene.servers()] == [Target("app", "s\x1b"), Target("app", "s\n")]
    found = scene.by_target(Target("app", "s\n"))
    assert found is not None
    assert found.id == "app/s·~2"
    assert found.target.id == "app/s\n"


def test_row_says_what_its_server_says_and_times_are_of_the_clock() -> None:
    one = server("app", "s\n")
    one["admin"], one["drain"], one["changed_by"] = "drain", drain(remaining_s=20.0, in_flight=4), ME
    row = server_row(one, 100.0)
    assert row.name == "s·"
    assert row.changed_by == "alice"
    assert row.drain is not None
    assert (row.drain.ends_at, row.drain.in_flight) == (120.0, 4)
    assert (row.connections, row.p99, row.requests_per_s) == (7, 16.0, 12.0)


def test_newer_status_changes_all_of_a_row_but_its_id() -> None:
    scene = scene_of(status([server("app", "s\x1b"), server("app", "s\n")]))
    row = scene.server("app/s·~2")
    assert row is not None
    newer = server("app", "s\n")
    newer["weight"], newer["health_reason"] = 7, "\x1b"
    adopt(row, newer, 100.0)
    assert (row.id, row.weight, row.health_reason) == ("app/s·~2", 7, "·")


def test_status_of_another_version_is_refused_whole() -> None:
    told = status([server("app", "s1")])
    del told["pools"][0]["servers"][0]["latency"]  # type: ignore[misc]  # as another version may
    with pytest.raises(KeyError):
        scene_of(told)


def test_event_is_cleaned() -> None:
    event = clean_event(
        {
            "seq": 1,
            "at": 0,
            "kind": "k",
            "subject": "s",
            "message": "a\x1bb",
            "actor": ME,
            "before": None,
            "after": None,
        }
    )
    assert event["message"] == "a·b"
