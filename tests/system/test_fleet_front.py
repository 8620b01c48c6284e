"""The command line and the console over real engines that are one fleet."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result

from lbapp.tui.app import LbappConsole
from tests.cli.harness import run
from tests.system.fleet_nodes import FleetNode, fleet_of
from tests.system.harness import wait_for
from tests.tui.console import screen_text, until

pytestmark = pytest.mark.system


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def lbapp(node: FleetNode, *arguments: str) -> Result:
    return run("--socket", str(node.control), *arguments)


def test_action_of_the_fleet_is_made_and_undone_on_every_node_and_the_command_waits_for_that(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        done = lbapp(nodes["lb1"], "weight", "app/s1", "50", "--fleet", "--wait")
        assert (done.exit_code, done.stderr.count("Traceback")) == (0, 0), done.stderr
        assert done.stdout.splitlines() == ["app/s1: weight 100 -> 50", "on all nodes that live: lb1, lb2"]
        assert nodes["lb2"].word("app/s1") == ("ready", 50)
        listed = lbapp(nodes["lb2"], "fleet").stdout
        assert "all of it is so on lb2" in listed
        assert "(on all nodes)" in lbapp(nodes["lb2"], "changes").stdout
        alone = lbapp(nodes["lb2"], "weight", "app/s1", "70")
        assert alone.stdout == "app/s1: weight 50 -> 70\n"
        assert "1 of them is other on lb2 (!)" in lbapp(nodes["lb2"], "fleet").stdout
        assert "other than the fleet:" in lbapp(nodes["lb2"], "diff").stdout
        undone = lbapp(nodes["lb1"], "undo", "--fleet", "--wait")
        assert undone.exit_code == 0, undone.stderr
        assert undone.stdout.splitlines()[-1] == "on all nodes that live: lb1, lb2"
        assert nodes["lb1"].word("app/s1") == ("ready", 100)


def test_another_node_is_drained_by_its_name_and_nodes_shows_it(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2", "lb3") as (_, nodes):
        done = lbapp(nodes["lb1"], "drain", "--node", "lb2", "--wait")
        assert done.exit_code == 0, done.stderr
        assert done.stdout.endswith("drained: no client is connected\n")
        assert nodes["lb2"].get("/v1/status")["engine"]["drain"] is not None
        assert "2 of 3 nodes ready" in lbapp(nodes["lb3"], "nodes").stdout
        refused = lbapp(nodes["lb1"], "drain", "--node", "lb3")
        assert refused.exit_code == 1
        assert "--force" in refused.stderr
        assert lbapp(nodes["lb1"], "ready", "--node", "lb2").exit_code == 0
        wait_for(lambda: "3 of 3 nodes ready" in lbapp(nodes["lb3"], "nodes").stdout)


def test_configuration_goes_to_every_node_and_one_that_cannot_is_named(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        file = nodes["lb1"].configuration
        file.write_text(file.read_text().replace('algorithm = "round_robin"', 'algorithm = "least_connections"'))
        done = lbapp(nodes["lb1"], "reload", "--fleet", "--rolling", "--wait")
        assert done.exit_code == 0, done.stderr
        assert done.stdout == "configuration f1 on 2 of 2\n"
        assert "f1" in lbapp(nodes["lb2"], "nodes").stdout


def test_silent_store_changes_nothing_and_both_ways_to_go_on_are_said(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (store, nodes):
        store.take_down()
        wait_for(lambda: nodes["lb1"].get("/v1/fleet")["state"] == "stale")
        refused = lbapp(nodes["lb1"], "maint", "app/s1", "--fleet")
        assert refused.exit_code == 1
        assert nodes["lb1"].word("app/s1")[0] == "ready"
        assert "STORE STALE" in lbapp(nodes["lb1"], "nodes").stdout
        assert lbapp(nodes["lb1"], "maint", "app/s1").exit_code == 0


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_console_shows_the_nodes_and_makes_a_change_on_all_of_them(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        app = LbappConsole(nodes["lb1"].control)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: "2 of 2 nodes ready" in screen_text(app), 60)
            await pilot.press("7")
            await until(pilot, lambda: "fleet lbapp  2 of 2 nodes ready  synced" in screen_text(app), 60)
            await pilot.press("3")
            await until(pilot, lambda: "WGT" in screen_text(app), 60)
            await pilot.press("F", "minus")
            await until(pilot, lambda: "on all nodes that live: lb1, lb2" in app.shell._said.text, 60)
            assert nodes["lb2"].word("app/s1") == ("ready", 90)
            await until(pilot, lambda: "on all nodes" in app.shell._facts.text, 60)
            await pilot.press("z")
            await until(pilot, lambda: nodes["lb2"].word("app/s1") == ("ready", 100), 60)
