"""What is done at a server at once, over the control API of a real engine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.engine.supervisor.support import Backend, EngineProcess, engine, toml

pytestmark = pytest.mark.system
SERVER = "/v1/pools/app/servers/s1"
CHECK = 'type = "http"\npath = "/"\ninterval = "30s"\nfast_interval = "30s"\nfall = 2\nrise = 1'


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend("one") as one:
        yield one


@pytest.fixture
def running(backend: Backend, tmp_path: Path) -> Iterator[EngineProcess]:
    with engine(tmp_path, toml([backend.port], check=CHECK)) as process:
        with process.control() as control:
            process.wait_for(lambda: control.get(SERVER).json()["health"] == "up")
        yield process


@pytest.fixture
def control(running: EngineProcess) -> Iterator[httpx.Client]:
    with running.control() as client:
        yield client


def reasons(control: httpx.Client) -> list[str]:
    return [probe["reason"] for probe in control.get(f"{SERVER}/probes").json()["probes"]]


def test_server_is_checked_when_asked_and_the_results_take_it_out_and_bring_it_back(
    backend: Backend, control: httpx.Client
) -> None:
    backend.status = 503
    first, second = (control.post(f"{SERVER}/check").json() for _ in range(2))
    assert (first["is_success"], first["reason"], first["streak"], second["streak"]) == (False, "HTTP 503", 1, 2)
    assert control.get(SERVER).json()["health"] == "down"
    backend.status = 200
    assert control.post(f"{SERVER}/check").json()["is_success"] is True
    assert control.get(SERVER).json()["health"] == "up"
    assert reasons(control) == ["HTTP 200", "HTTP 503", "HTTP 503", "HTTP 200"]


def test_server_in_maintenance_is_not_checked_and_an_unknown_one_is_not_found(control: httpx.Client) -> None:
    control.patch(SERVER, json={"state": "maint", "force": True})
    refused = control.post(f"{SERVER}/check")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "in_maintenance")
    assert control.post("/v1/pools/app/servers/s9/check").status_code == 404
    assert control.get("/v1/pools/app/servers/s9/probes").status_code == 404


def test_probes_are_kept_through_a_reload(running: EngineProcess, control: httpx.Client) -> None:
    control.post(f"{SERVER}/check")
    before = control.get(f"{SERVER}/probes").json()
    path = Path(control.get("/v1/status").json()["engine"]["configuration_path"])
    path.write_text(path.read_text().replace("fall = 2", "fall = 3"))
    assert control.post("/v1/reload").json()["applied"] is True
    assert control.get(f"{SERVER}/probes").json()["probes"][: len(before["probes"])] == before["probes"]
    assert control.post(f"{SERVER}/check").json()["is_success"] is True


def status_behind_a_reload(running: EngineProcess, call: str, body: object, old: str, new: str) -> int:
    """Call the API, apply a file with `new` for `old` between the head of the call and its body; return the status."""
    data = json.dumps(body).encode()
    head = f"{call} HTTP/1.1\r\nHost: lbapp\r\nExpect: 100-continue\r\nContent-Length: {len(data)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as slow, running.control() as control:
        slow.settimeout(20)
        slow.connect(str(running.socket))
        slow.sendall(head.encode())
        assert b" 100 " in slow.recv(4096)  # what is called has begun, and waits for the body
        file = Path(control.get("/v1/status").json()["engine"]["configuration_path"])
        file.write_text(file.read_text().replace(old, new))
        assert control.post("/v1/reload").json()["applied"] is True
        slow.sendall(data)
        return int(slow.recv(4096).split()[1])


def test_call_whose_body_comes_behind_a_reload_is_about_the_servers_that_there_are_then(
    running: EngineProcess, control: httpx.Client
) -> None:
    drain = {"state": "drain", "force": True}
    assert status_behind_a_reload(running, f"PATCH {SERVER}", drain, "fall = 2", "fall = 3") == 200
    assert control.get(SERVER).json()["admin"] == "drain"
    assert status_behind_a_reload(running, f"POST {SERVER}/kill", {}, '"s1"', '"s9"') == 404
    assert "connections_killed" not in [event["kind"] for event in control.get("/v1/events").json()["events"]]
