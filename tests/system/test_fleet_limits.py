"""Limits over a fleet, on real engines."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tests.system.fleet_nodes import FleetNode, alive, fleet_of, start_node
from tests.system.harness import NO_CHECK, request, wait_for, waiting_server

pytestmark = pytest.mark.system
# A reload that takes as long as a file is there, with the new generation made and not serving yet.
_SLOW_RELOAD = """
from pathlib import Path
import anyio
from lbapp.engine.supervisor.workers import Workers
apply, hold = Workers.apply, Path({hold!r})
async def held(self, served, opened):
    await apply(self, served, opened)
    while hold.exists():
        hold.with_name("held").touch()
        await anyio.sleep(0.02)
Workers.apply = held
"""


def toml(port: int) -> str:
    return (
        '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
        "[listener.admission]\nfleet_connections_max = 50\n"
        '[[pool]]\nname = "app"\nfleet_connections_max = 4\n[pool.queue]\nlength_max = 0\n'
        f'{NO_CHECK}[[pool.server]]\nname = "s1"\naddress = "127.0.0.1:{port}"\nfleet_connections_max = 9\n'
    )


def here(node: FleetNode) -> tuple[int, int]:
    pool = node.get("/v1/pools/app")
    return pool["connections_max_here"], pool["servers"][0]["connections_max_here"]


def test_members_share_a_limit_from_the_moment_in_which_there_are_others(tmp_path: Path) -> None:
    with waiting_server() as (port, _), fleet_of(tmp_path, "lb1", "lb2", toml=toml(port)) as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        wait_for(lambda: (here(lb1), here(lb2)) == ((2, 5), (2, 4)))
        lb3 = start_node(tmp_path, "lb3", toml(port))
        try:
            wait_for(lambda: (here(lb1), here(lb2), here(lb3)) == ((2, 3), (1, 3), (1, 3)))
            store.take_down()
            wait_for(lambda: lb1.get("/v1/fleet")["state"] == "stale")
            lb3.end()
            assert (here(lb1), here(lb2)) == ((2, 3), (1, 3))  # silence decides nothing
            store.bring_back()
            wait_for(lambda: (here(lb1), here(lb2)) == ((2, 5), (2, 4)))
        finally:
            lb3.end()
        assert any("shared by 3 members" in each for each in lb1.messages("shares_changed"))


def test_members_that_leave_while_a_reload_is_under_way_are_counted_no_more_behind_it(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    with waiting_server() as (port, _), fleet_of(tmp_path, "lb2", toml=toml(port)) as (_, nodes):
        lb1 = start_node(tmp_path, "lb1", toml(port), first=_SLOW_RELOAD.format(hold=str(hold)))
        try:
            wait_for(lambda: here(lb1) == (2, 5))
            lb1.configuration.write_text(lb1.configuration.read_text().replace("length_max = 0", "length_max = 1"))
            hold.touch()
            answers: list[int] = []
            asking = threading.Thread(target=lambda: answers.append(lb1.ask("POST", "/v1/reload", {}).status_code))
            asking.start()
            wait_for(hold.with_name("held").exists)
            nodes["lb2"].end()
            wait_for(lambda: alive(lb1) == ["lb1"])
            hold.unlink()
            asking.join(20)
            assert answers == [200]
            wait_for(lambda: here(lb1) == (4, 9))
        finally:
            hold.unlink(missing_ok=True)
            lb1.end()


def test_no_more_than_its_part_is_in_flight_at_a_node(tmp_path: Path) -> None:
    with waiting_server() as (port, may_answer), fleet_of(tmp_path, "lb1", "lb2", toml=toml(port)) as (_, nodes):
        lb1 = nodes["lb1"]
        wait_for(lambda: here(lb1) == (2, 5))
        held = [socket.create_connection(("127.0.0.1", lb1.port())) for _ in range(2)]
        for each in held:
            each.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for(lambda: lb1.get("/v1/pools/app")["in_flight"] == 2)
        assert b" 503 " in request(lb1.port())[:20]
        nodes["lb2"].end()  # alone, this node has all of it
        wait_for(lambda: here(lb1) == (4, 9))
        may_answer.set()
        for each in held:
            each.close()
        wait_for(lambda: lb1.get("/v1/pools/app")["in_flight"] == 0)
        assert b" 200 " in request(lb1.port())[:20]
