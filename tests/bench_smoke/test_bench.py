"""The benchmarks run and give figures.

Responsible for one short run of each kind that a test can afford. Knows nothing of what good figures are.
Invariant: no time is ever asserted here, only that requests were answered and none failed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.heads import request_heads
from tests.bench.table import Spread, format_table

REPOSITORY = Path(__file__).parents[2]
NEEDED = {"wrk": "wrk", "nginx": "nginx-core"}

pytestmark = pytest.mark.system


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100, check=False)


def test_http_bench_measures_lbapp_and_no_request_fails(tmp_path: Path) -> None:
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"the HTTP benchmark needs: apt-get install {' '.join(missing)}")
    peers = ["lbapp", "lbapp-all", *(["haproxy"] if shutil.which("haproxy") else [])]
    figures = tmp_path / "figures.json"
    done = _bench("http", "--rounds", "1", "--seconds", "1", "--only", ",".join(peers), "--json", str(figures))
    assert done.returncode == 0, done.stderr
    results = json.loads(figures.read_text())["results"]
    assert sorted(results) == sorted(peers)
    for rounds in results.values():
        for each in rounds:
            assert each["load"]["requests"] > 0
            assert each["load"]["statuses"] == each["load"]["breaks"] == 0
            assert each["cpu_us_per_request"] > 0


def test_new_bench_measures_connections_of_one_request_and_tcp(tmp_path: Path) -> None:
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"the benchmark of new connections needs: apt-get install {' '.join(missing)}")
    figures = tmp_path / "figures.json"
    done = _bench("new", "--rounds", "1", "--seconds", "1", "--only", "lbapp", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    (kinds,) = json.loads(figures.read_text())["results"]["lbapp"]
    assert sorted(kinds) == ["http", "tcp", "tcp kept"]
    for each in kinds.values():
        assert each["load"]["requests"] > 0
        assert each["load"]["statuses"] == each["load"]["breaks"] == 0
        assert each["cpu_us"] > 0


def test_hostile_bench_measures_the_others_in_quiet_and_under_every_attack(tmp_path: Path) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("the hostile benchmark needs: apt-get install nginx-core")
    figures = tmp_path / "figures.json"
    arguments = (
        "--brief",
        "--rounds",
        "1",
        "--seconds",
        "1",
        "--count",
        "50",
        "--only",
        "lbapp",
        "--json",
        str(figures),
    )
    done = _bench("hostile", *arguments)
    assert done.returncode == 0, done.stderr
    results = json.loads(figures.read_text())["results"]
    assert sorted(results) == ["bodies", "churn", "heads", "idle", "readers"]
    for kind, by_peer in results.items():
        (siege,) = by_peer["lbapp"]
        assert siege["held"] == (0 if kind == "churn" else 50), kind
        assert (siege["served"], siege["failures"]) == (200, {}), kind
        assert siege["p99_ms"] > 0


def test_tls_bench_measures_new_connections_and_kept_ones(tmp_path: Path) -> None:
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"the TLS benchmark needs: apt-get install {' '.join(missing)}")
    figures = tmp_path / "figures.json"
    done = _bench("tls", "--rounds", "1", "--seconds", "1", "--only", "lbapp", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    (measured,) = json.loads(figures.read_text())["results"]["lbapp"]
    for load in (measured["new"], measured["kept"]):
        assert load["requests"] > 0
        assert load["statuses"] == load["breaks"] == 0
    assert measured["cpu_us_per_connection"] > measured["cpu_us_per_request"] > 0


def test_picks_bench_gives_figures() -> None:
    done = _bench("picks", "--brief")
    assert done.returncode == 0, done.stderr
    assert any(character.isdigit() for character in done.stdout)


def test_unknown_peer_is_refused_with_the_known_ones() -> None:
    done = _bench("http", "--only", "squid")
    assert done.returncode == 2
    assert "unknown peer squid; known: lbapp, lbapp-log, lbapp-ids, lbapp-all, haproxy" in done.stderr


def test_request_heads_are_all_different_and_carry_eleven_headers() -> None:
    heads = request_heads(2_000)
    assert len(set(heads)) == len(heads)
    assert {head.count(b"\r\n") for head in heads} == {13}
    assert all(head.endswith(b"\r\n\r\n") for head in heads)


def test_table_aligns_columns_and_shows_the_spread() -> None:
    table = format_table(("proxy", "cost"), [("lbapp", Spread((3.0, 1.0, 2.0)).show()), ("x", "-")])
    assert table.splitlines() == [
        "| proxy |          cost |",
        "| ----- | ------------: |",
        "| lbapp | 2.0 [1.0-3.0] |",
        "| x     |             - |",
    ]


def test_balance_bench_sends_everybody_the_same_and_no_request_fails(tmp_path: Path) -> None:
    peers = ["lbapp", "lbapp-all", *(["haproxy"] if shutil.which("haproxy") else [])]
    figures = tmp_path / "figures.json"
    arguments = ("--rounds", "1", "--seconds", "1", "--rate", "200", "--only", ",".join(peers), "--json", str(figures))
    done = _bench("balance", "--brief", *arguments)
    assert done.returncode == 0, done.stderr
    results = json.loads(figures.read_text())["results"]
    assert {"lbapp least_response_time", "lbapp least_connections"} <= set(results)
    for variant, (found,) in results.items():
        assert found["errors"] == {}, variant
        assert abs(sum(found["shares"]) - 100) < 0.01
        assert len(found["shares"]) == 8


def test_checks_bench_sees_every_server_probed_again(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("checks", "--brief", "--seconds", "3", "--servers", "20", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    results = json.loads(figures.read_text())["results"]
    assert sorted(results) == ["http", "tcp"]
    for (found,) in results.values():
        assert found["probes_per_s"] > 2
        assert 0.8 < found["interval_p50_s"] < 2.0
        assert -1.0 < found["late_p50_ms"] <= found["late_p99_ms"] <= found["late_max_ms"] < 4_000.0


def test_watch_bench_measures_whole_statuses_and_changes(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("watch", "--brief", "--rounds", "1", "--seconds", "1", "--servers", "10", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    results = json.loads(figures.read_text())["results"]
    assert sorted(results) == sorted(f"{count} {kind}" for count in (1, 10, 100) for kind in ("status", "changes"))
    (status,), (changes,) = results["100 status"], results["100 changes"]
    assert status["lines_per_s"] > 0 < changes["lines_per_s"]
    assert 100 * 20 < changes["bytes_per_line"] < status["bytes_per_line"] / 5  # each server has counted


def test_faults_bench_loses_no_decision_and_no_request_in_a_drain(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("faults", "--brief", "--rounds", "1", "--rate", "200", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(figures.read_text())["results"]["lbapp"]
    assert found["decided"]["errors"] == {}
    assert [len(each["late_ms"]) for each in found["decisions"].values()] == [5, 5]
    assert found["engine_killed"]["acknowledged"] >= 40
    assert found["engine_killed"]["lost"] == 0


def test_reloads_bench_changes_file_and_engine_without_a_failure_and_kills_the_engine(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = _bench("reloads", "--brief", "--rounds", "1", "--rate", "100", "--json", str(figures))
    assert figures.exists(), done.stdout + done.stderr
    (found,) = json.loads(figures.read_text())["results"]["lbapp"]
    assert {kind: len(each["took_ms"]) for kind, each in found.items()} == {
        "reload": 5,
        "upgrade": 1,
        "kill -9, sockets kept": 1,
    }
    for kind, each in found.items():
        # Workers without a supervisor close idle connections: a request may be on its way on one.
        lost = 1 if kind.startswith("kill") else 0
        assert sum(each["served"]["errors"].values()) <= lost * len(each["took_ms"]), (kind, each["served"]["errors"])
        assert each["served"]["answers"] > 50, kind
