"""What a real engine answers is what the types of the control API say, call by call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbapp.control import calls
from lbapp.control.calls import Call
from lbapp.control.client import AsyncControlClient, ControlClient
from lbapp.model.amounts import Subject
from lbapp.model.errors import LbappError, RequestRefused
from tests.system.harness import listener_toml, pool_toml, request, running_engine, servers, wait_for

pytestmark = [pytest.mark.system, pytest.mark.anyio]

CHECK = '[pool.health_check]\ntype = "http"\ninterval = "500ms"\n[pool.persistence]\ntype = "cookie"\n'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def changing(path: Path) -> Sequence[Call[Any]]:
    """Return every call that changes something and can be made again and again."""
    both = ["app/s1", "app/s2"]
    return (
        calls.patch_server("app/s1", {"state": "drain", "hard": True, "reason": "test"}),
        calls.patch_servers({"servers": both, "weight": 50, "over_s": 60.0}),
        calls.patch_servers({"servers": both, "state": "maint", "dry_run": True}),
        calls.check_now("app/s2"),
        calls.kill({"servers": both, "reason": "test"}),
        calls.patch_pool("app", {"published": False}),
        calls.patch_pool("app", {"published": True}),
        calls.undo({}),
        calls.add_server("app", {"name": "s9", "address": "127.0.0.1:9"}),
        calls.remove_server("app/s9", {}),
        calls.reload({"dry_run": True, "text": path.read_text().replace('name = "s1"', 'name = "s8"')}),
        calls.rollback({"dry_run": True}),
        calls.rollback({}),
        calls.patch_node({"state": "drain", "drain_timeout_s": 60.0}),
    )


def looking() -> Sequence[Call[Any]]:
    """Return every call that looks."""
    return (
        calls.status(),
        calls.server("app/s1"),
        calls.probes("app/s1"),
        calls.events(),
        calls.latency(60),
        calls.status_at(time.time()),
        *(calls.course(subject, 60.0, 1) for subject in (None, Subject("pool", "app"), Subject("server", "app/s1"))),
        calls.rates(30.0, time.time()),
        calls.sessions(100),
        calls.captures(),
        calls.decisions({}),
        calls.preview_decision({"pool": "app", "client": "127.0.0.1"}),
        calls.changes(100),
        calls.differences(),
        calls.configurations(),
        calls.configuration(),
        calls.configuration_text(1),
    )


async def test_every_answer_of_an_engine_has_the_shape_of_its_type(tmp_path: Path) -> None:
    with (
        servers() as ports,
        running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports, extra=CHECK), workers=1) as engine,
    ):
        path = Path(engine.status()["engine"]["configuration_path"])
        wait_for(lambda: engine.server("app/s1")["health"] == "up")
        for head in (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"no http\r\n\r\n"):
            request(engine.port(), head)
        with engine.client() as client:
            wait_for(lambda: is_recorded(client))
        client_of_tui = AsyncControlClient(engine.control)
        try:
            refused = [problem for call in looking() if (problem := await problem_of(client_of_tui, call))]
            for call in changing(path):
                refused += [
                    problem for each in (call, calls.status()) if (problem := await problem_of(client_of_tui, each))
                ]
            refused += [problem for call in looking() if (problem := await problem_of(client_of_tui, call))]
            assert refused == []
            with anyio.fail_after(25):
                async for line in client_of_tui.follow_events(0):
                    assert line["seq"] == 1
                    break
        finally:
            await client_of_tui.close()


def is_recorded(client: ControlClient) -> bool:
    """Say whether the history has begun."""
    try:
        return bool(client.course(None, 60.0, 1)["points"])
    except RequestRefused:
        return False


async def problem_of(client: AsyncControlClient, call: Call[Any]) -> str:
    """Return why a call did not come to anything; empty: it did."""
    assert call.shape is not None
    try:
        await client.ask(call)
    except LbappError as error:
        return f"{call.method} {call.path}: {error}"
    return ""
