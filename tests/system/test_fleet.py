"""Real engines that are one fleet."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lbapp.control.fleet import FleetStatus
from lbapp.control.shapes import check
from tests.engine.supervisor.test_reports import ANNOUNCE, DNS
from tests.system.fleet_nodes import FleetNode, alive, cluster_toml, fleet_of
from tests.system.harness import wait_for
from tests.system.test_metrics import RULES, alerts_of_fleet, samples, wrong_with

pytestmark = pytest.mark.system


def test_nodes_of_a_fleet_know_each_other_and_see_one_leave(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        found = nodes["lb1"].get("/v1/fleet")
        check(found, FleetStatus, "fleet")
        assert (found["fleet"], found["node"], found["state"]) == ("lbapp", "lb1", "synced")
        assert found["age_s"] < 5
        one, two = found["members"]
        assert (one["name"], one["is_self"], two["name"], two["is_self"]) == ("lb1", True, "lb2", False)
        assert two["state"]["ready"] is True
        glance = nodes["lb1"].get("/v1/status")["engine"]["fleet"]
        assert (glance["state"], glance["members"], glance["ready"], glance["known"]) == ("synced", 2, 2, 2)
        nodes["lb2"].end()
        wait_for(lambda: alive(nodes["lb1"]) == ["lb1"])
        assert nodes["lb1"].get("/v1/status")["engine"]["fleet"]["known"] == 2


def test_a_fleet_whose_store_is_silent_is_said_to_be_stale_and_goes_on(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (store, nodes):
        store.take_down()
        wait_for(lambda: nodes["lb1"].get("/v1/fleet")["state"] == "stale")
        found = nodes["lb1"].get("/v1/fleet")
        assert found["problem"] == "the store does not answer; nothing was changed"
        assert [each["name"] for each in found["members"]] == ["lb1", "lb2"]
        assert nodes["lb1"].get("/v1/status")["engine"]["fleet"]["stale_since"] is not None
        assert nodes["lb1"].ask("GET", "/v1/ready").status_code == 200
        store.bring_back()
        wait_for(lambda: nodes["lb1"].get("/v1/fleet")["state"] == "synced")


def test_a_reload_joins_another_fleet_and_leaves_it_again(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (_, nodes):
        lb1 = nodes["lb1"]
        text = lb1.configuration.read_text()
        other = cluster_toml("lb1", 'name = "other"\n')
        lb1.configuration.write_text(text.replace(cluster_toml("lb1"), other))
        done = lb1.ask("POST", "/v1/reload").json()
        assert [(each["what"], each["kind"]) for each in done["changes"]] == [("cluster", "changed")]
        wait_for(lambda: lb1.get("/v1/fleet")["fleet"] == "other" and lb1.get("/v1/fleet")["state"] == "synced")
        lb1.configuration.write_text(text.replace(cluster_toml("lb1"), ""))
        lb1.ask("POST", "/v1/reload")
        assert (lb1.get("/v1/fleet")["fleet"], lb1.get("/v1/fleet")["state"]) == ("", "off")


def test_an_engine_that_is_alone_imports_nothing_of_the_store_side() -> None:
    code = (
        "import sys; import lbapp.cli.start, lbapp.engine.main, lbapp.cli.fleet_maker; "
        "sys.exit(any(name.startswith('lbapp.cluster') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def metrics(node: FleetNode) -> dict[str, float]:
    lines = node.ask("GET", "/metrics").text.splitlines()
    found = (line.rsplit(" ", 1) for line in lines if line.startswith("lbapp_") and "#" not in line)
    return {name: float(value) for name, value in found}


def test_metrics_say_how_it_stands_with_the_fleet_and_with_this_nodes_part_in_it(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1 = nodes["lb1"]
        lb1.patch("/v1/pools/app/servers/s1", {"weight": 5, "fleet": True})
        lb1.patch("/v1/pools/app/servers/s1", {"weight": 6})
        wait_for(lambda: metrics(lb1)["lbapp_fleet_intents"] == 1)
        found = metrics(lb1)
        wanted = {
            "lbapp_ready": 1, "lbapp_node_draining": 0, 'lbapp_fleet_state{state="synced"}': 1,
            'lbapp_fleet_state{state="stale"}': 0, "lbapp_fleet_members": 2, "lbapp_fleet_members_ready": 2,
            "lbapp_fleet_differs": 1, "lbapp_fleet_configuration": 0, "lbapp_fleet_configuration_wanted": 0,
            "lbapp_fleet_members_needed": 1,
        }  # fmt: skip
        assert {name: found[name] for name in wanted} == wanted
        assert found["lbapp_fleet_view_age_seconds"] < 5
        assert not [name for name in found if name.startswith(("lbapp_announced", "lbapp_dns", "lbapp_report"))]
        lb1.ask("PUT", "/v1/reports/announce", ANNOUNCE)
        lb1.ask("PUT", "/v1/reports/dns", {**DNS, "state": "withdrawn"})
        store.take_down()
        lb1.patch("/v1/node", {"state": "drain", "force": True})
        wait_for(lambda: metrics(lb1)['lbapp_fleet_state{state="stale"}'] == 1)
        found = metrics(lb1)
        assert (found["lbapp_ready"], found["lbapp_node_draining"]) == (0, 1)
        assert found['lbapp_announced{address="198.51.100.10/32"}'] == 1
        assert found['lbapp_route_session_up{session="up"}'] == 1
        assert found['lbapp_dns_published{name="www.lb.test."}'] == 0
        assert all(0 <= found[f'lbapp_report_age_seconds{{reporter="{who}"}}'] < 60 for who in ("announce", "dns"))
        exposed = samples(lb1.ask("GET", "/metrics").text)
        assert len(alerts_of_fleet()) == 5
        assert {
            name: wrong for name, expression in alerts_of_fleet() if (wrong := wrong_with(expression, exposed))
        } == {}


# Of each alert: what is there, and the instance that is meant.
SERIES = (
    ("LbappFleetViewIsOld", 'lbapp_fleet_view_age_seconds{instance="%s"}', 31, 30),
    ("LbappFleetViewIsOld", 'lbapp_fleet_state{state="starting", instance="%s"}', 1, 0),
    ("LbappFleetTooFewReady", 'lbapp_fleet_members_ready{instance="%s"}', 1, 2),
    ("LbappFleetConfigurationDiffers", 'lbapp_fleet_configuration{instance="%s"}', 0, 3),
    ("LbappFleetIntentsDiffer", 'lbapp_fleet_differs{instance="%s"}', 2, 0),
    ("LbappReporterIsSilent", 'lbapp_report_age_seconds{reporter="dns", instance="%s"}', 61, 9),
)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize(("alert", "series", "bad", "good"), SERIES)
def test_an_alert_is_raised_for_a_node_of_which_it_is_so_and_for_no_other(
    tmp_path: Path, alert: str, series: str, bad: int, good: int
) -> None:
    there = {series % "bad": bad, series % "good": good}
    for instance in ("bad", "good"):
        there[f'lbapp_fleet_configuration_wanted{{instance="{instance}"}}'] = 3
        there[f'lbapp_fleet_members_needed{{instance="{instance}"}}'] = 2
    labels = {"instance": "bad", "reporter": "dns"} if "reporter" in series else {"instance": "bad"}
    if "state=" in series:
        labels["state"] = "starting"
    raised = {
        line.group(1): line.group(2) for line in re.finditer("alert: (\\w+)(?s:.*?)severity: (\\w+)", RULES.read_text())
    }
    summaries = dict(re.findall('alert: (\\w+)(?s:.*?)summary: "(.*)"', RULES.read_text()))
    told = summaries[alert].replace("{{ $labels.instance }}", "bad").replace("{{ $value }}", str(bad))
    expected = {
        "exp_labels": {**labels, "severity": raised[alert]},
        "exp_annotations": {"summary": told.replace("{{ $labels.reporter }}", "dns")},
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": f"{value}x120"} for name, value in there.items()],
        "alert_rule_test": [{"eval_time": "110m", "alertname": alert, "exp_alerts": [expected]}],
    }
    file = tmp_path / "test.yml"  # JSON is YAML
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [test]}))
    found = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
