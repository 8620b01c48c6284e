"""`lbapp bundle`, with an engine and without one."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lbapp.control.bundle import read_bundle
from lbapp.control.recall import Past, status_at
from lbapp.model.history_file import FileHead, Ring
from tests.system.harness import lbapp, listener_toml, pool_toml, request, running_engine, servers, wait_for

pytestmark = pytest.mark.system
SECRET = "s3cr3t-of-sixteen-bytes"
COOKIE = f'persistence = {{ type = "cookie", keys = [{{ id = "k", secret = "{SECRET}" }}] }}\n'


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {name.removeprefix("lbapp-bundle/"): archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]


def test_bundle_has_what_the_engine_knows_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "report.tar.gz"
    with servers("s1") as ports:
        toml = listener_toml("app") + pool_toml("app", ports, extra=COOKIE + '[pool.health_check]\ntype = "none"\n')
        (tmp_path / "lbapp.toml").touch(0o600)
        with running_engine(tmp_path, toml) as engine:
            request(engine.port())
            request(engine.port(), b"GET / HTTP/1.1\r\nHost: h\r\nCookie: id=%b\r\nX A: b\r\n\r\n" % SECRET.encode())
            wait_for(lambda: lbapp(engine, "status", "--at", "-1s").returncode == 0)  # a second was recorded
            done = lbapp(engine, "bundle", str(file))
            assert done.returncode == 0, done.stderr
            assert "missing" not in done.stdout
            again = lbapp(engine, "bundle", str(file))
            assert (again.returncode, "file exists" in again.stderr) == (1, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    parts = read(file)
    assert not [name for name, content in parts.items() if SECRET.encode() in content]
    manifest = json.loads(parts["manifest.json"])
    assert manifest["missing"] == {}
    assert sorted([*manifest["parts"], "manifest.json"]) == sorted(parts)
    assert manifest["openssl"].startswith("OpenSSL")
    assert json.loads(parts["status.json"])["pools"][0]["name"] == "app"
    assert len(json.loads(parts["captures.json"])["captures"]) == 1
    assert b'lbapp_listener_requests_total{listener="web"} 2.0' in parts["metrics.txt"]
    assert b'secret = "***"' in parts["configuration.toml"]
    found = read_bundle(file)
    assert found.manifest == manifest
    assert found.status is not None
    assert found.status["pools"][0]["servers"][0]["id"] == "app/s1"
    assert found.events is not None
    assert found.events[0]["kind"]
    assert found.changes is not None
    assert found.changes["actions"] == []
    assert found.differences == []
    assert found.configurations is not None
    assert [each["state"] for each in found.configurations] == ["applied"]
    assert found.sessions is not None
    assert found.captures is not None
    assert found.captures["captures"][0]["who"] == "client"
    assert found.fleet is not None
    assert (found.fleet["fleet"], found.fleet["state"]) == ("", "off")
    assert found.decisions is not None
    # One request may not be among those that are sampled.
    assert {each["server"] for each in found.decisions["decisions"]} <= {"app/s1"}
    assert found.latency is not None
    assert sorted(found.latency) == [10.0, 60.0, 300.0]
    assert found.latency[300.0]["pools"][0]["requests"] == 1
    assert found.metrics == parts["metrics.txt"].decode()
    assert found.configuration == parts["configuration.toml"].decode()
    assert found.past is not None
    history = Past.in_file(parts["history.bin"])
    assert history == found.past
    assert status_at(history, history.moments[Ring.SECONDS][-1][0])["pools"][0]["name"] == "app"


def test_bundle_without_an_engine_has_the_rest_and_says_what_is_missing(tmp_path: Path) -> None:
    configuration, file = tmp_path / "lbapp.toml", tmp_path / "report.tar.gz"
    configuration.write_text(listener_toml("app") + pool_toml("app", {}, extra=COOKIE))
    command = [sys.executable, "-m", "lbapp", "--socket", str(tmp_path / "none"), "bundle", str(file)]
    command += ["--from", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "missing: status.json: no engine answers" in done.stdout
    assert "missing: configuration.toml: no engine says which it is" in done.stdout
    assert f"missing: history.bin: there is no history in {tmp_path}" in done.stdout
    assert list(read(file)) == ["manifest.json"]
    assert "status.json" in json.loads(read(file)["manifest.json"])["missing"]
    assert read_bundle(file).status is None
    file.unlink()
    (tmp_path / "history-1").write_bytes(FileHead.for_rows(1, 7).encoded())
    done = subprocess.run([*command, "-c", str(configuration)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert b"***" in read(file)["configuration.toml"]
    assert SECRET.encode() not in read(file)["configuration.toml"]
    assert read_bundle(file).past == Past()


def test_console_says_in_a_sentence_why_a_file_cannot_be_opened(tmp_path: Path) -> None:
    def opened(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "lbapp", "tui", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    (tmp_path / "torn.tar.gz").write_bytes(b"\x1f\x8b no tar")
    for name in ("torn.tar.gz", "nothing.tar.gz"):
        code, said = opened("--bundle", str(tmp_path / name))
        assert (code, said.startswith(f"lbapp: cannot read {tmp_path / name}: ")) == (1, True), said
    assert opened("--bundle", str(tmp_path / "b"), "--host", "ssh://lb1")[0] == 2
    assert opened("--at", "yesterday")[0] == 2
