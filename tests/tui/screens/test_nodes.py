from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.control.messages import CertificateStatus, WorkerStatus
from lbapp.tui.app import LbappConsole
from lbapp.tui.scene import Scene
from lbapp.tui.screens.nodes import certificate_kind, certificates_of, node_lines, worker_kind
from lbapp.tui.staging import scene_of
from lbapp.tui.tones import plain
from tests.tui.console import SIZE, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server, status
from tests.tui.fleet_double import ALONE, fleet_of, member, member_state, routes_report, three_nodes

pytestmark = pytest.mark.anyio


def worker(**more: object) -> WorkerStatus:
    found: WorkerStatus = {
        "slot": 0, "pid": 4711, "phase": "serving", "generation": 1, "heartbeat_age_s": 0.1, "connections": 7,
        "restarts_total": 0, "faults_total": 0,
    }  # fmt: skip
    found.update(more)  # type: ignore[typeddict-item]  # of a test's choice
    return found


def certificate(days: float, digest: str) -> CertificateStatus:
    return {
        "file": "a.pem", "names": [f"{digest}.example"], "issuer": "x", "key_type": "EC", "fingerprint_sha256": digest,
        "not_before": 0.0, "not_after": days, "days_left": days,
    }  # fmt: skip


async def test_node_its_workers_and_its_listeners_are_in_sight(tmp_path: Path) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("7")
            for text in (
                "node-a  serving",
                "configuration 1, generation 1, of lbapp.toml",
                "HEARTBEAT",
                "0.0.0.0:8080",
            ):
                await until_shown(pilot, text)


@pytest.mark.parametrize("size", [SIZE, (120, 40)])
async def test_fleet_and_its_nodes_stand_above_this_node_and_totals_above_them(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    double = EngineDouble()
    double.fleet.status = three_nodes()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=size) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("7")
            for text in (
                "fleet prod  3 of 3 nodes ready  synced",
                "together 2940 req/s  630 connections",
                "announced 2/2",
                "published",
                "node-a  serving",
                "HEARTBEAT",
                "0.0.0.0:8080",
            ):
                await until_shown(pilot, text)
            assert ("bfd Up" in screen_text(app)) is (size != SIZE)  # of the node under the cursor, where there is room


async def test_node_that_is_not_well_says_so_and_enter_shows_all_of_it(tmp_path: Path) -> None:
    double = EngineDouble()
    report = routes_report()
    report["sessions"][0] |= {"is_up": False, "state": "Connect", "bfd": "Down"}
    lb2 = member("lb2", state=member_state(ready=False, reasons=["no server of app is eligible"], announce=report))
    double.fleet.status = fleet_of(member("node-a"), lb2, member("lb3", is_alive=False))
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("7")
            for text in ("1 of 3 nodes ready", "! lb2", "NOT READY", "announced 1/2", "▼ lb3", "GONE"):
                await until_shown(pilot, text)
            await pilot.press("down", "enter")
            for text in (
                "Node lb2",
                "not ready   no server of app is eligible",
                "up1 Connect since 00:10:00, bfd Down",
            ):
                await until_shown(pilot, text)
            await pilot.press("escape", "exclamation_mark")
            await until_shown(pilot, "problems only")


async def test_node_that_is_alone_is_drained_from_its_own_screen_where_its_workers_have_the_keys(
    tmp_path: Path,
) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("7")
            await until_shown(pilot, "HEARTBEAT")
            await pilot.press("N")
            await until_shown(pilot, "Drain this node?")


@pytest.mark.parametrize("size", [SIZE, (120, 40)])
async def test_old_view_of_the_fleet_is_said_loudly_and_grows_older(tmp_path: Path, size: tuple[int, int]) -> None:
    double = EngineDouble()
    double.fleet.status = three_nodes(state="stale", age_s=90.0, problem="the store at 10.0.0.1:2379 does not answer")
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=size) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("7")
            await until_shown(pilot, "STORE STALE 1m30s")
            await until_shown(pilot, "! the store at 10.0.0.1:2379 does not answer; the view is 1m3")
            await until_shown(pilot, "lb3")  # the last view holds


async def test_node_that_leaves_its_fleet_shows_itself_alone_again(tmp_path: Path) -> None:
    double = EngineDouble()
    double.fleet.status = three_nodes()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("7")
            await until_shown(pilot, "fleet prod")
            double.fleet.status = ALONE
            await until(pilot, lambda: "fleet prod" not in screen_text(app))
            await until_shown(pilot, "node-a  serving")


@pytest.mark.parametrize(
    ("more", "tone"),
    [({}, "good"), ({"phase": "draining"}, "warn"), ({"phase": "gone"}, "bad"), ({"heartbeat_age_s": 9}, "bad")],
)
def test_worker_that_does_not_serve_or_is_silent_stands_out(more: dict[str, object], tone: str) -> None:
    kind, one = worker_kind(), worker(**more)
    assert kind.columns[2].tone(one) == tone
    assert kind.is_problem(one) is (tone != "good")
    assert all(column.text(one) and column.order(one) is not None for column in kind.columns)


def test_each_certificate_stands_once_the_first_to_expire_on_top() -> None:
    scene = scene_of(status([server("app", "s1")]))
    scene.listeners[0].certificates = [certificate(40.0, "b"), certificate(5.0, "a"), certificate(40.0, "b")]
    found = certificates_of(scene)
    assert [each["fingerprint_sha256"] for each in found] == ["a", "b"]
    kind = certificate_kind()
    assert [kind.columns[1].tone(each) for each in found] == ["bad", "plain"]
    assert kind.columns[1].text(certificate(-3.0, "c")) == "expired 3d"


def test_past_without_the_node_says_so_and_clients_turned_away_are_counted() -> None:
    assert "nothing is recorded" in plain(node_lines(Scene())[0])
    scene = scene_of(status([server("app", "s1")]))
    scene.listeners[0].turned_away = {"node_full": 4, "network": 0}
    assert plain(node_lines(scene)[-1]) == " clients turned away since the start: node_full 4"
