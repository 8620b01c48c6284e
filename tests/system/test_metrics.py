"""The exposition of a whole engine, as Prometheus reads it, and what packaging/ makes of it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.system.harness import (
    Engine,
    Load,
    free_port,
    lbapp,
    listener_toml,
    pool_toml,
    request,
    running_engine,
    servers,
    wait_for,
)
from tests.system.test_upgrade import upgradable
from tests.tls_material import Authority

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
RULES = ROOT / "packaging/prometheus/lbapp.rules.yml"
DASHBOARD = ROOT / "packaging/grafana/lbapp.json"
PROMETHEUS_OWN = {"up"}  # made by Prometheus for each target
TARGET_LABELS = {"instance", "job"}
EVERYTHING = """\
[pool.persistence]
type = "ip"
[pool.health_check]
type = "none"
"""


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        return str(answer.read().decode())


def scrape_control(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    return answer.partition(b"\r\n\r\n")[2].decode()


def families(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))


def family_of(text: str, name: str) -> Metric:
    return next(family for family in families(text) if family.name == name)


def samples(text: str) -> dict[str, set[str]]:
    """Return the labels of each sample's name."""
    found: dict[str, set[str]] = {}
    for family in families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def is_refused(port: int) -> bool:
    try:
        scrape(port)
    except OSError:
        return True
    return False


@contextmanager
def scraped(tmp_path: Path) -> Iterator[tuple[Engine, int]]:
    """Run an engine that has something of everything that is exposed."""
    metrics, files = free_port(), Authority().issue("lb.example.com").write(tmp_path, "lb")
    with servers("s1") as ports, ExitStack() as stack:
        listener = listener_toml("app") + listener_toml("app", name="tls")
        listener += f'[listener.tls]\n[[listener.tls.certificate]]\nfile = "{files.file}"\nkey = "{files.key}"\n'
        pool = pool_toml("app", {**ports, "gone": free_port()}, extra="connections_max = 100\n" + EVERYTHING)
        toml = f'[metrics]\nbind = "127.0.0.1:{metrics}"\n' + listener + pool
        yield stack.enter_context(running_engine(tmp_path, toml)), metrics


def test_exposition_is_what_prometheus_own_parser_reads(tmp_path: Path) -> None:
    with scraped(tmp_path) as (engine, port):
        for _ in range(4):
            request(engine.port())
        assert request(engine.port(), b"no request\r\n\r\n").startswith(b"HTTP/1.1 400")
        text = scrape(port)
        assert samples(text) == samples(scrape_control(engine.control))
    found = families(text)
    assert len(found) > 50
    for family in found:
        assert re.search(r"\(merge: (sum|max|min|last)\)$", family.documentation), family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        for sample in family.samples:
            assert sample.value >= 0, sample
        if family.type == "histogram":
            _check_histogram(family)
    incomplete = {
        (sample.labels["ended_by"], sample.labels["phase"]): sample.value
        for sample in family_of(text, "lbapp_listener_incomplete").samples
        if sample.labels["listener"] == "web"
    }
    assert len(incomplete) == 25
    assert incomplete.pop(("client", "request")) == 1
    assert set(incomplete.values()) == {0}


def _check_histogram(family: Metric) -> None:
    rows: dict[tuple[tuple[str, str], ...], list[float]] = {}
    totals: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in family.samples:
        key = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        if sample.name.endswith("_bucket"):
            rows.setdefault(key, []).append(sample.value)
        elif sample.name.endswith("_count"):
            totals[key] = sample.value
    assert rows.keys() == totals.keys()
    for key, row in rows.items():
        assert row == sorted(row)
        assert row[-1] == totals[key]


def alerts() -> list[tuple[str, str]]:
    """Return name and expression of each alert; as there is no reader of YAML here, the file keeps to one line each."""
    text = RULES.read_text()
    names = re.findall(r"^ {6}- alert: (\w+)$", text, re.MULTILINE)
    expressions = re.findall(r"^ {8}expr: (.+)$", text, re.MULTILINE)
    assert len(names) == len(set(names)) == len(expressions) == text.count("severity: ") == text.count("summary: ")
    return list(zip(names, expressions, strict=True))


def alerts_of_fleet() -> list[tuple[str, str]]:
    return [(name, expression) for name, expression in alerts() if re.search("lbapp_(fleet|report)_", expression)]


def panels() -> list[tuple[str, str]]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]


def wrong_with(expression: str, exposed: dict[str, set[str]]) -> list[str]:
    """Return the metrics that are not exposed, and the labels that none of those in the expression has."""
    selectors = re.findall(r"([a-z_]+)(?:\{([^}]*)\})?(?=\[| [=<>]|\)|$|\{)", re.sub(r'"[^"]*"', '""', expression))
    names = [(name, inside) for name, inside in selectors if name.startswith("lbapp_") or name in PROMETHEUS_OWN]
    wrong = [name for name, _ in names if name not in exposed and name not in PROMETHEUS_OWN]
    labels = set().union(*(exposed.get(name, set()) for name, _ in names)) | TARGET_LABELS
    for name, inside in names:
        own = exposed.get(name, set()) | TARGET_LABELS
        wrong += [f"{name}{{{label}}}" for label in re.findall(r"(\w+)\s*[=!]", inside) if label not in own]
    for group in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
        wrong += [f"by {label}" for label in re.split(r",\s*", group) if label not in labels]
    return wrong if names else ["no metric at all"]


def test_what_the_dashboard_and_the_alerts_ask_for_is_exposed(tmp_path: Path) -> None:
    with scraped(tmp_path) as (_, port):
        exposed = samples(scrape(port))
    # What is about a fleet is asked of one in test_fleet.
    asked = [each for each in alerts() if each not in alerts_of_fleet()] + panels()
    assert len(asked) > 30
    assert {title: found for title, expression in asked if (found := wrong_with(expression, exposed))} == {}
    assert wrong_with("rate(lbapp_listener_request_total[5m])", exposed) == ["lbapp_listener_request_total"]
    assert wrong_with('sum by (pool) (lbapp_listener_in_flight{pool="app"})', exposed)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    with scraped(tmp_path) as (_, port):
        text = scrape(port)
    found = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    # Days are what operators count certificates in; the same in seconds stands beside it.
    remarks = [line for line in found.stderr.splitlines() if not line.startswith("lbapp_certificate_days_left ")]
    assert (found.returncode, remarks) == (3, [])
    found = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_reload_moves_the_address_and_one_that_is_taken_changes_nothing(tmp_path: Path) -> None:
    configuration, first, other = tmp_path / "lbapp.toml", free_port(), free_port()
    with servers("s1") as ports:
        rest = listener_toml("app") + pool_toml("app", ports)
        with running_engine(tmp_path, f'[metrics]\nbind = "127.0.0.1:{first}"\n' + rest) as engine:
            assert "lbapp_build_info" in scrape(first)
            sound = configuration.read_text()
            taken = next(iter(ports.values()))
            configuration.write_text(sound.replace(str(first), str(taken)))
            refused = lbapp(engine, "reload")
            assert refused.returncode == 1
            assert "address already in use" in refused.stderr
            assert "lbapp_build_info" in scrape(first)
            configuration.write_text(sound.replace(f"127.0.0.1:{first}", f"0.0.0.0:{other}"))
            moved = lbapp(engine, "reload")
            assert moved.returncode == 0, moved.stderr
            assert "metrics" in moved.stdout
            assert "unasked" in moved.stdout + moved.stderr
            wait_for(lambda: not is_refused(other) and is_refused(first))
            configuration.write_text(sound.replace(f"127.0.0.1:{first}", "off"))
            assert lbapp(engine, "reload").returncode == 0
            wait_for(lambda: is_refused(other))


def test_upgrade_keeps_the_address_answered_and_a_second_engine_cannot_have_it(tmp_path: Path) -> None:
    port = free_port()
    with servers("s1") as ports:
        toml = f'[metrics]\nbind = "127.0.0.1:{port}"\n' + listener_toml("app") + pool_toml("app", ports)
        with upgradable(tmp_path, toml) as engine, Load(engine.port()) as load:
            began = _started_at(port)
            assert lbapp(engine, "upgrade").returncode == 0
            assert engine.process.wait(25) == 0
            assert _started_at(port) > began
            other = tmp_path / "other"
            other.mkdir()
            with pytest.raises(AssertionError, match="address already in use"), running_engine(other, toml):
                pass
        assert load.failures == []


def _started_at(port: int) -> float:
    return family_of(scrape(port), "lbapp_start_time_seconds").samples[0].value
