from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.engine.supervisor.live_support import Follower, check_same
from tests.engine.supervisor.support import Backend, EngineProcess, engine, toml

pytestmark = pytest.mark.system
SERVER = "/v1/pools/app/servers/s1"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder = tmp_path_factory.mktemp("engine")
    with (
        Backend("one") as one,
        Backend("two") as two,
        engine(folder, toml([one.port, two.port])) as process,
    ):
        yield process


@pytest.fixture
def control(running: EngineProcess) -> Iterator[httpx.Client]:
    with running.control() as client:
        yield client


def error_of(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    return answer.status_code, error["code"]


def test_status_pools_and_servers_agree(control: httpx.Client) -> None:
    status = control.get("/v1/status").json()
    assert status["engine"]["phase"] == "serving"
    assert status["engine"]["workers"][0]["phase"] == "serving"
    assert control.get("/v1/pools").json()["pools"][0]["name"] == "app"
    assert control.get("/v1/pools/app").json()["total"] == 2
    assert control.get(SERVER).json()["id"] == "app/s1"
    assert control.get("/v1/workers").json()["workers"][0]["slot"] == 0


def test_drained_server_gets_no_request_until_it_is_ready_again(running: EngineProcess, control: httpx.Client) -> None:
    change = control.patch(SERVER, json={"state": "drain"}).json()
    assert change["after"]["state"] == "drain"
    assert {running.get().text for _ in range(6)} == {"two"}
    control.patch(SERVER, json={"state": "ready"})
    assert {running.get().text for _ in range(6)} == {"one", "two"}
    server = control.get(SERVER).json()
    assert server["changed_by"]["pid"] == os.getpid()
    assert server["changed_by"]["uid"] == os.getuid()


def test_unpublished_pool_gets_nothing_in_any_worker_while_its_checks_go_on(
    running: EngineProcess, control: httpx.Client
) -> None:
    change = control.patch("/v1/pools/app", json={"published": False}).json()
    assert change["after"] == {"published": False}
    for _ in range(6):
        answer = running.get()
        assert answer.status_code == 503
        assert "pool app is unpublished" in answer.text
    pool = control.get("/v1/pools/app").json()
    assert (pool["published"], pool["total"]) == (False, 2)
    assert control.patch("/v1/pools/app", json={"published": True}).json()["pool"]["published"] is True
    assert {running.get().text for _ in range(6)} == {"one", "two"}
    assert error_of(control.patch("/v1/pools/apq", json={"published": True})) == (404, "unknown_pool")
    assert error_of(control.patch("/v1/pools/app", json={"published": "no"})) == (422, "invalid_body")


def test_events_tell_who_changed_what(control: httpx.Client) -> None:
    last = max(control.patch(SERVER, json={"weight": weight}).json()["event_seqs"][0] for weight in (7, 100))
    (event,) = control.get("/v1/events", params={"after": last - 1, "limit": 1}).json()["events"]
    assert (event["kind"], event["before"], event["after"]) == ("weight_changed", 7, 100)
    assert event["actor"]["pid"] == os.getpid()


def test_watch_gives_a_status_at_once_and_another_at_every_change(
    running: EngineProcess, control: httpx.Client
) -> None:
    with running.control() as watching, watching.stream("GET", "/v1/watch") as answer:
        lines = answer.iter_lines()
        first = json.loads(next(lines))
        control.patch(SERVER, json={"weight": 42})
        weights = (json.loads(line)["pools"][0]["servers"][0]["weight"] for line in lines)
        assert first["pools"][0]["servers"][0]["weight"] == 100
        assert next(weight for weight in weights if weight == 42)
    control.patch(SERVER, json={"weight": 100})


def test_watch_as_changes_begins_with_all_and_goes_on_with_what_changed(
    running: EngineProcess, control: httpx.Client
) -> None:
    follower = Follower()
    with running.control() as watching, watching.stream("GET", "/v1/watch?as=changes") as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = answer.iter_lines()
        assert follower.take(next(lines))["kind"] == "whole"
        check_same(follower, control.get("/v1/status").json())
        control.patch(SERVER, json={"weight": 42})
        while follower.row("servers", "s1")["weight"] != 42:
            assert follower.take(next(lines))["kind"] == "changes"
        assert follower.row("servers", "s1")["changed_by"]["pid"] == os.getpid()
    control.patch(SERVER, json={"weight": 100})


def test_watch_says_which_lines_there_are_and_a_head_asks_for_none(control: httpx.Client) -> None:
    assert error_of(control.get("/v1/watch?as=news")) == (422, "invalid_query")
    assert error_of(control.get("/v1/watch?as=changes&figures=some")) == (422, "invalid_query")
    answer = control.head("/v1/watch?as=changes")
    assert (answer.status_code, answer.content) == (200, b"")


def test_followed_events_arrive_as_they_happen(running: EngineProcess, control: httpx.Client) -> None:
    with running.control() as following, following.stream("GET", "/v1/events?follow=1") as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines))["seq"] == 1
        (seq,) = control.patch(SERVER, json={"weight": 9}).json()["event_seqs"]
        found = next(event for event in map(json.loads, lines) if event["seq"] == seq)
        assert found["after"] == 9
    control.patch(SERVER, json={"weight": 100})


def test_too_many_watches_are_refused(running: EngineProcess) -> None:
    with ExitStack() as opened:
        client = opened.enter_context(running.control())
        paths = ["/v1/watch", "/v1/watch?as=changes"]
        watches = [opened.enter_context(client.stream("GET", path)).iter_lines() for path in 16 * paths]
        for lines in watches:
            next(lines)
        for path in paths:
            assert error_of(client.get(path)) == (503, "too_many_watches")

    def is_accepted() -> bool:
        with running.control() as client, client.stream("GET", "/v1/watch") as answer:
            return answer.status_code == 200

    running.wait_for(is_accepted)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/pools/none", 404, "unknown_pool"),
        ("GET", "/v1/pools/app/servers/none", 404, "unknown_server"),
        ("PUT", SERVER, 405, "method_not_allowed"),
        ("GET", "/v1/stop", 405, "method_not_allowed"),
        ("GET", "/v1/status/", 404, "not_found"),
        ("GET", "/v1/events?after=-1", 422, "invalid_query"),
        ("GET", "/v1/events?limit=%C2%B2", 422, "invalid_query"),
    ],
)
def test_every_refusal_has_the_one_shape(control: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    assert error_of(control.request(method, path)) == (status, code)


def test_body_that_is_no_json_or_too_large_is_refused(control: httpx.Client) -> None:
    assert error_of(control.patch(SERVER, content=b"{")) == (422, "invalid_body")
    assert error_of(control.patch(SERVER, content=b"[" * 100_000)) == (422, "invalid_body")
    assert error_of(control.patch(SERVER, content=b"\xff")) == (422, "invalid_body")
    assert error_of(control.patch(SERVER, content=b'{"\\ud800": 1}')) == (422, "invalid_body")
    assert len(control.patch(SERVER, content=b'{"' + b"a" * 100_000 + b'": 1}').content) < 1000
    assert error_of(control.patch(SERVER, content=b" " * 1_100_000)) == (413, "body_too_large")


def test_what_is_no_http_is_refused_in_the_same_shape(running: EngineProcess) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(running.socket))
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = b""
        while part := client.recv(4096):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "bad_request"


def test_metrics_are_prometheus_text(control: httpx.Client) -> None:
    answer = control.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'lbapp_server_weight{pool="app",server="s1"} 100.0' in answer.text


def test_control_socket_is_its_owners(running: EngineProcess) -> None:
    assert running.socket.stat().st_mode & 0o777 == 0o600
    assert Path(running.socket).is_socket()


def test_events_are_picked_and_paged_over_the_api_also_as_they_happen(
    running: EngineProcess, control: httpx.Client
) -> None:
    seqs = [control.patch(SERVER, json={"weight": weight}).json()["event_seqs"][0] for weight in (11, 12, 13, 100)]
    picked = {"kind": "weight_changed,server_went_down", "subject": "app/s1"}
    last = control.get("/v1/events", params={**picked, "limit": 2}).json()["events"]
    assert [event["seq"] for event in last] == seqs[2:]
    before = control.get("/v1/events", params={**picked, "limit": 2, "before": seqs[2]}).json()["events"]
    assert [event["seq"] for event in before] == seqs[:2]
    assert error_of(control.get("/v1/events?before=x")) == (422, "invalid_query")
    assert error_of(control.get("/v1/changes?before=x")) == (422, "invalid_query")
    actions = control.get("/v1/changes").json()["actions"]
    page = control.get("/v1/changes", params={"limit": 1, "before": actions[-1]["number"]}).json()["actions"]
    assert page == [actions[-2]]
    query = {"follow": 1, "after": seqs[-1], "subject": "app/s2"}
    with running.control() as following, following.stream("GET", "/v1/events", params=query) as answer:
        control.patch(SERVER, json={"weight": 9})
        control.patch("/v1/pools/app/servers/s2", json={"weight": 8})
        assert json.loads(next(answer.iter_lines()))["subject"] == "app/s2"
    for name in ("s1", "s2"):
        control.patch(f"/v1/pools/app/servers/{name}", json={"weight": 100})
