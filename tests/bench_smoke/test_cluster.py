"""The benchmark of several nodes runs and gives figures. As in `test_bench`, no time is asserted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.name_servers import PROGRAMS, missing
from tests.system.cluster import lab

REPOSITORY = Path(__file__).parents[2]

# A fleet and two name servers take a busy machine a minute and a half to start.
pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", "cluster", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=230, check=False)


def test_dns_part_sees_every_change_of_every_server(tmp_path: Path) -> None:
    there = [kind for kind in PROGRAMS if not missing(kind)]
    if not there:
        pytest.skip("; ".join(map(missing, PROGRAMS)))
    figures = tmp_path / "figures.json"
    done = _bench("--only", "dns", "--changes", "4", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())["results"]["dns"]
    assert sorted(found) == sorted(there)
    for kind in there:
        for what in ("update", "readiness"):
            assert len(found[kind][what]["took_ms"]) == 4, kind
            assert min(found[kind][what]["took_ms"]) > 0


needs_etcd = pytest.mark.skipif(shutil.which("etcd") is None, reason="needs etcd: apt-get install etcd-server")


@needs_etcd
def test_intents_hold_on_three_nodes_over_an_etcd(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("--only", "intents", "--writes", "10", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())["results"]["intents"]
    assert len(found["holds"]["took_ms"]) == len(found["call"]["took_ms"]) == 10
    assert min(found["holds"]["took_ms"]) > 0


@pytest.mark.skipif(
    bool(lab.missing("bird", "birdc", "nft")), reason=lab.missing("bird", "birdc", "nft") or "all there"
)
def test_routes_part_sees_a_drained_node_leave_the_router_and_come_back(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("--only", "routes", "--changes", "1", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())["results"]["routes"]
    assert min(*found["drain"]["took_ms"], *found["ready"]["took_ms"]) > 0


@needs_etcd
def test_rest_shows_what_each_process_takes(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("--only", "rest", "--seconds", "1", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())["results"]["rest"]
    assert {"worker", "etcd"} <= found.keys()
    for process in found.values():
        assert process["resident_mib"] >= process["private_mib"] > 0
        assert process["cpu_percent"] >= 0


def test_part_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    done = _bench("--only", "dsn")
    assert done.returncode == 2
    assert "unknown part dsn; known: intents, dns, routes, rest" in done.stderr
