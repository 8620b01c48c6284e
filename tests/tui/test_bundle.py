"""A bundle on the screens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbapp.control import calls
from lbapp.control.bundle import Bundle, Manifest
from lbapp.control.calls import Call
from lbapp.control.decisions import DecisionStatus
from lbapp.control.messages import Event, Status
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.app import LbappConsole
from lbapp.tui.bundle import kept_bundle
from lbapp.tui.past import day_and_time
from tests.control.test_recall import hour
from tests.tui.console import SIZE, screen_text, until, until_shown
from tests.tui.engine_double import server, status

pytestmark = pytest.mark.anyio
MANIFEST: Manifest = {
    "made_at": 1.0, "lbapp": "1", "python": "3", "openssl": "3", "kernel": "6", "machine": "m", "cpus": 2,
    "parts": [], "missing": {"decisions.json": "the engine is too \x1bold"},
}  # fmt: skip
EVENT: Event = {
    "seq": 1, "at": 195.0, "kind": "server_went_down", "subject": "app/s1", "message": "app/s1 went \x1b[2J down", "actor": None,
    "before": "up", "after": "down",
}  # fmt: skip


def of_node_a() -> Status:
    found = status([server("app", "s1"), server("app", "s2")])
    found["at"] = 201.0
    return found


def bundle(**parts: Any) -> Bundle:
    return replace(Bundle(MANIFEST, *[None] * 12), **parts)


async def test_bundle_is_shown_as_its_node_was_and_its_history_can_be_gone_through() -> None:
    app = LbappConsole(kept_bundle("b.tar.gz", bundle(status=of_node_a(), events=[EVENT], past=hour())))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, f"lbapp node-a  BUNDLE {day_and_time(201.0)}  RO")
        await pilot.press("3", "d", "m", "e", "plus", "z")
        await until_shown(pilot, "app/s2")
        assert "select a server" not in screen_text(app)
        await pilot.press("enter")
        await until_shown(pilot, "connect_refused 2")
        await pilot.press("5")
        await until_shown(pilot, "went ·[2J down")
        await pilot.press("left_curly_bracket")
        await until(pilot, lambda: app.shell.source.now() == 191.0)
        await until_shown(pilot, "lbapp node-a  PAST")
        await until_shown(pilot, "0 of 0")  # it had not happened yet
        await pilot.press("0")
        await until_shown(pilot, "BUNDLE")


async def test_calls_are_answered_by_the_parts_and_what_is_missing_is_said_with_the_reason() -> None:
    latency = {10.0: {"at": 1.0, "window_s": 10.0, "listeners": [], "pools": []}}
    kept = kept_bundle("b", bundle(status=of_node_a(), differences=[], configurations=[], latency=latency))
    assert (await kept.ask(calls.status()))["engine"]["node"] == "node-a"
    assert (await kept.ask(calls.server("app/s2")))["name"] == "s2"
    assert (await kept.ask(calls.differences()))["differences"] == []
    assert (await kept.ask(calls.configurations()))["configurations"] == []
    assert (await kept.ask(calls.latency(10.0, "app")))["window_s"] == 10.0
    refused: list[tuple[Call[Any], str]] = [
        (calls.decisions({}), "this bundle has no decisions. the engine is too ·old"),
        (calls.course(None, 60.0, 1), "this bundle has no history"),
        (calls.events(), "this bundle has no events"),
        (calls.probes("app/s1"), "this bundle has no probes"),
        (calls.latency(60.0), "this bundle has no latency over 60 s"),
        (calls.undo({}), "a bundle cannot be changed"),
    ]
    for call, sentence in refused:
        with pytest.raises(RequestRefused) as error:
            await kept.ask(call)
        assert str(error.value).startswith(sentence)


async def test_decisions_are_those_that_are_asked_for() -> None:
    def decision(pool: str, at: float) -> DecisionStatus:
        return {
            "at": at, "client": "::1", "port": 1, "pool": pool, "algorithm": "first", "attempt": 1, "server": None, "by": None,
            "candidates": [], "candidates_total": 0, "skipped": [], "skipped_total": 0, "persistence": [], "remembered": None,
            "key": None, "waited": False, "note": "",
        }  # fmt: skip

    every = [decision("app", 1.0), decision("api", 2.0), decision("app", 3.0)]
    kept = kept_bundle("b", bundle(status=of_node_a(), decisions={"decisions": every}))
    assert [each["at"] for each in (await kept.ask(calls.decisions({"pool": "app"})))["decisions"]] == [1.0, 3.0]
    assert [each["at"] for each in (await kept.ask(calls.decisions({"limit": "1"})))["decisions"]] == [3.0]


def test_bundle_made_without_an_engine_is_shown_as_its_history_ended() -> None:
    kept = kept_bundle("b", bundle(past=hour()))
    assert (kept.at, kept.freshness) == (200.0, f"BUNDLE {day_and_time(200.0)}")
    assert [row.id for row in kept.scene.servers()] == ["app/s1", "app/s2", "api/s1"]
    with pytest.raises(LbappError, match="neither a status nor a history"):
        kept_bundle("b", bundle())
