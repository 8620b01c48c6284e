from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from lbapp.control.messages import ServerStatus, Status
from lbapp.tui.live import LiveScene
from lbapp.tui.scene import Scene, Target
from lbapp.tui.staging import scene_of
from tests.tui.engine_double import ME, drain, live_line, live_tables, server, status


class Wire:
    """What one live scene gets to hear of one status after the other, as it comes over a socket."""

    def __init__(self) -> None:
        self.live = LiveScene()
        self._before: dict[str, Any] = {}

    def tell(self, now: Status) -> str:
        """Say it; return what kind of line that was."""
        tables = live_tables(now)
        line = json.loads(json.dumps(live_line(now, tables, self._before)))
        self._before = json.loads(json.dumps(tables))
        self.live.take(line)
        return str(line["kind"])


def everything(scene: Scene) -> Any:
    """Return a scene as plain values, without what only the live feed tells."""
    pools = [asdict(pool) for pool in scene.pools]
    for one in [one for pool in pools for one in pool["servers"]]:
        del one["rise"], one["fall"]
    listeners = [asdict(listener) for listener in scene.listeners]
    engine: Any = {**scene.engine, "uptime_s": 0.0} if scene.engine else None
    return scene.at, scene.revision, engine, listeners, pools, [row.id for row in scene.servers()]


def unlike_others() -> ServerStatus:
    one = server("app", "s\n", 3.5)
    one["address"], one["health_reason"] = "\x1b[1m:80", "\x1b"
    one["admin"], one["weight"], one["is_eligible"] = "drain", 0, False
    one["drain"] = drain(since=5.0, remaining_s=12.0, in_flight=3)
    one["health"], one["probe"] = "down", {
        "at": 1.0, "is_success": True, "reason": "HTTP 200", "layer": "http", "duration_s": 0.1, "streak": 1, "excerpt": "",
    }  # fmt: skip
    one["ramp"] = {
        "before": 1, "after": 9, "since": 1.0, "until": 60.0, "abort_percent": None, "failed_percent": None,
    }  # fmt: skip
    one["changed_at"], one["changed_by"] = 7.0, ME
    return one


def test_scene_of_the_live_feed_is_the_scene_of_the_status() -> None:
    wire = Wire()
    told = status([server("app", "s\x1b"), unlike_others(), server("b\x1b", "x", 9.0)])
    assert wire.tell(told) == "whole"
    assert wire.live.scene is not None
    assert everything(wire.live.scene) == everything(scene_of(told))
    told = status([unlike_others(), server("app", "s\n"), server("b\x1b", "x", 1.0)], 2)
    assert wire.tell(told) == "whole"  # these are others
    assert everything(wire.live.scene) == everything(scene_of(told))


def test_rows_stay_the_same_objects_while_their_figures_and_states_change() -> None:
    wire, servers = Wire(), [server("app", "s1"), server("app", "s2")]
    wire.tell(status(servers))
    assert wire.live.scene is not None
    first = wire.live.scene.server("app/s1")
    assert first is not None
    servers[0]["in_flight"], servers[0]["latency"]["total"]["p99"], servers[0]["weight"] = 77, None, 3
    told = status(servers, 2)
    assert wire.tell(told) == "changes"
    assert wire.live.scene.server("app/s1") is first
    assert (first.in_flight, first.p99, first.weight, first.rise, first.fall) == (77, None, 3, 2, 3)
    assert everything(wire.live.scene) == everything(scene_of(told))


def test_what_is_in_flight_at_a_drain_follows_the_figures() -> None:
    wire, one = Wire(), server("app", "s1")
    one["admin"], one["drain"] = "drain", drain(remaining_s=60.0)
    told = status([one])
    wire.tell(told)
    one["in_flight"] = 1
    wire.tell({**status([one]), "at": told["at"]})
    assert wire.live.scene is not None
    row = wire.live.scene.server("app/s1")
    assert row is not None
    assert row.drain is not None
    assert (row.drain.in_flight, row.drain.ends_at) == (1, told["at"] + 60.0)


def test_ids_that_look_alike_lead_to_their_own_server() -> None:
    wire = Wire()
    wire.tell(status([server("app", "s\x1b"), server("app", "s\n")]))
    assert wire.live.scene is not None
    assert [row.id for row in wire.live.scene.servers()] == ["app/s·", "app/s·~2"]
    assert [row.target for row in wire.live.scene.servers()] == [Target("app", "s\x1b"), Target("app", "s\n")]


def test_columns_are_found_by_their_names() -> None:
    tables = json.loads(json.dumps(live_tables(status([server("app", "s1", 5.0)]))))
    servers = tables["servers"]
    servers["columns"].insert(0, "news")
    servers["figures"][0].insert(0, "of a later version")
    live = LiveScene()
    live.take(json.loads(json.dumps(live_line(status([server("app", "s1", 5.0)]), tables, {}))))
    assert live.scene is not None
    assert [row.requests_per_s for row in live.scene.servers()] == [5.0]


@pytest.mark.parametrize(
    "line", [{}, {"kind": "news"}, {"kind": "changes", "at": 1.0, "revision": 1}, status([server("a", "s")])]
)
def test_line_of_another_version_is_refused(line: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        LiveScene().take(line)
