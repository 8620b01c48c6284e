"""The calls of the control API, against a real server on a real socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lbapp.control import calls
from lbapp.control.client import AsyncControlClient, ControlClient
from lbapp.model.errors import EngineUnreachable, RequestRefused
from tests.cluster.dns.support import StandInEngine
from tests.tui.engine_double import EngineDouble, answering, server


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def double(socket: Path) -> Iterator[EngineDouble]:
    engine = EngineDouble([server("a b", "s?1#"), server("app", "s2")])
    with answering(engine, socket):
        yield engine


def test_each_call_gives_its_message(double: EngineDouble, socket: Path) -> None:
    with ControlClient(socket) as client:
        assert client.status()["engine"]["node"] == "node-a"
        assert [pool["name"] for pool in client.pools()] == ["a b", "app"]
        change = client.patch_server("app", "s2", {"state": "drain"})
        assert (change["before"]["state"], change["after"]["state"]) == ("ready", "drain")
        assert [event["subject"] for event in client.events(limit=5)] == ["app/s2"]
        assert client.events(after=1) == []
        client.stop(2.5)
    assert double.stops == [{"timeout_s": 2.5}]


def test_watch_yields_one_status_after_the_other(double: EngineDouble, socket: Path) -> None:
    with ControlClient(socket) as client:
        statuses = client.watch()
        assert next(statuses)["at"] < next(statuses)["at"]


def test_names_with_any_character_reach_their_server(double: EngineDouble, socket: Path) -> None:
    with ControlClient(socket) as client:
        client.patch_server("a b", "s?1#", {"weight": 7})
    assert double.patches == [("a b/s?1#", {"weight": 7})]


def test_refusal_has_the_engines_sentence_and_hint(double: EngineDouble, socket: Path) -> None:
    double.refuses_with = ("app/s2 changed", "Look at it again")
    with ControlClient(socket) as client, pytest.raises(RequestRefused, match=r"app/s2 changed\. Look") as refused:
        client.patch_server("app", "s2", {"weight": 7})
    assert (refused.value.code, refused.value.status) == ("no", 409)


def test_without_an_engine_the_error_says_how_to_start_one(socket: Path) -> None:
    with ControlClient(socket) as client:
        for call in (client.status, lambda: next(client.watch()), lambda: next(client.follow_events())):
            with pytest.raises(EngineUnreachable, match=f"no engine answers on {socket}. Start one with: lbapp run"):
                call()


def test_socket_of_another_user_is_said_to_be_forbidden(double: EngineDouble, socket: Path) -> None:
    me = os.geteuid()
    socket.chmod(0)
    if me == 0:
        os.seteuid(65534)
    try:
        with ControlClient(socket) as client, pytest.raises(EngineUnreachable, match="may not use the control socket"):
            client.status()
    finally:
        os.seteuid(me)


@pytest.mark.anyio
async def test_asynchronous_client_has_the_calls_of_the_console(double: EngineDouble, socket: Path) -> None:
    client = AsyncControlClient(socket)
    lines = client.watch_changes()
    whole = await anext(lines)
    assert whole["kind"] == "whole"
    assert whole["pools"]["states"][1]["name"] == "app"
    change = await client.ask(calls.patch_server("app/s2", {"weight": 5}))
    assert change["server"]["weight"] == 5
    assert [event["seq"] for event in (await client.ask(calls.events()))["events"]] == [1]
    assert [row for row, _ in (await anext(lines)).get("servers", {}).get("states", ())] == [1]
    await lines.aclose()
    await client.close()


@pytest.mark.anyio
async def test_watch_ends_with_an_error_when_the_engine_does(socket: Path) -> None:
    client = AsyncControlClient(socket)
    with answering(EngineDouble(), socket):
        lines, events = client.watch_changes(), client.follow_events(0)
        await anext(lines)
    for ended in (lines, events):
        with pytest.raises(EngineUnreachable, match=str(socket)):
            _ = [line async for line in ended]
    await client.close()


def test_node_that_is_not_ready_is_an_answer_and_an_engine_that_refuses_is_none(socket: Path) -> None:
    engine = StandInEngine(socket)
    engine.is_ready, engine.reasons = False, ["the node drains"]
    with engine.running(), ControlClient(socket) as client:
        assert client.ask(calls.ready())["reasons"] == ["the node drains"]
        with pytest.raises(RequestRefused, match="there is no such thing"):
            client.ask(replace(calls.ready(), path="/v1/other", answered_by=(404,)))
