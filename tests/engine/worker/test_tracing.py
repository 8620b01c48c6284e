"""Ids of requests and traces, through a real worker: what the server gets, what the client gets, what is logged."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lbapp.model.access_log import AccessLog, LogTarget
from lbapp.model.actions import FixedResponse, HeaderRules
from lbapp.model.entities import Bind, Listener, Pool, Route
from lbapp.model.tracing import Accept, Tracing
from tests.engine.worker.harness import TcpServer, answering, read_head, running_worker, server
from tests.engine.worker.test_steering import LOOPBACK, get, serving
from tests.system.harness import wait_for

pytestmark = pytest.mark.system

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
SOUND = b"00-%b-00f067aa0ba902b7-01" % TRACE
BOTH = Tracing(request_id=True, traceparent=True)
WEB = Listener("web", (Bind("127.0.0.1", 0),), pool="app", tracing=BOTH)
SENT = b"Host: h\r\nX-Request-ID: mine\r\nTraceParent: %b\r\ntracestate: a=1\r\n"


def values(head: bytes, name: bytes) -> list[bytes]:
    return re.findall(rb"\r\n(?i:%b): *([^\r]*)" % name, head)


def test_request_without_ids_gets_new_ones_each_time() -> None:
    with serving(WEB) as (worker, seen):
        get(worker)
        get(worker)
    ids = [values(head, b"x-request-id") for head in seen]
    traces = [values(head, b"traceparent") for head in seen]
    assert all(len(each) == 1 and re.fullmatch(rb"[0-9a-f]{32}", each[0]) for each in ids)
    assert all(len(each) == 1 and re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-00", each[0]) for each in traces)
    assert ids[0] != ids[1]
    assert traces[0] != traces[1]


@pytest.mark.parametrize(
    ("accept", "is_trusted", "is_kept"),
    [
        (Accept.TRUSTED, True, True),
        (Accept.TRUSTED, False, False),
        (Accept.ALL, False, True),
        (Accept.NONE, True, False),
    ],
)
def test_ids_are_kept_of_those_who_are_believed_and_replaced_of_others(
    accept: Accept, is_trusted: bool, is_kept: bool
) -> None:
    listener = replace(WEB, tracing=replace(BOTH, accept=accept))
    if is_trusted:
        listener = replace(listener, forwarding=LOOPBACK)
    with serving(listener) as (worker, seen):
        get(worker, fields=SENT % SOUND)
    found = [values(seen[0], name) for name in (b"x-request-id", b"traceparent", b"tracestate")]
    if is_kept:
        assert found == [[b"mine"], [SOUND], [b"a=1"]]
    else:
        assert [len(each) for each in found] == [1, 1, 0]
        assert found[0] != [b"mine"]
        assert TRACE not in found[1][0]


@pytest.mark.parametrize(
    "fields",
    [
        SENT % SOUND.upper(),
        SENT % SOUND + b"traceparent: %b\r\n" % SOUND,
        SENT % (SOUND + b"-more"),
        (SENT % SOUND).replace(b"TraceParent: %b\r\n" % SOUND, b""),  # a state of no trace
    ],
)
def test_malformed_traceparent_is_replaced_and_its_state_does_not_go_on(fields: bytes) -> None:
    with serving(replace(WEB, tracing=replace(BOTH, accept=Accept.ALL))) as (worker, seen):
        get(worker, fields=fields)
    (traceparent,) = values(seen[0], b"traceparent")
    assert traceparent.endswith(b"-00")
    assert TRACE not in traceparent
    assert values(seen[0], b"tracestate") == []
    assert values(seen[0], b"x-request-id") == [b"mine"]


@pytest.mark.parametrize("sent", [b"two words", b"x" * 129, b'"', b"one\r\nX-Request-ID: two"])
def test_request_id_that_is_none_is_replaced(sent: bytes) -> None:
    with serving(replace(WEB, tracing=replace(BOTH, accept=Accept.ALL))) as (worker, seen):
        get(worker, fields=(SENT % SOUND).replace(b"mine", sent))
    (request_id,) = values(seen[0], b"x-request-id")
    assert re.fullmatch(rb"[0-9a-f]{32}", request_id)


@pytest.mark.parametrize("accept", list(Accept))
def test_ids_in_the_spelling_of_a_server_behind_cgi_are_no_second_ones(accept: Accept) -> None:
    with serving(replace(WEB, tracing=replace(BOTH, accept=accept))) as (worker, seen):
        get(worker, fields=b"X_Request_ID: other\r\n" + SENT % SOUND)
    assert values(seen[0], b"x_request_id") == []
    (request_id,) = values(seen[0], b"x-request-id")
    assert request_id not in (b"mine", b"other")


def test_other_fields_of_a_traced_request_go_on_as_they_came() -> None:
    fields = b"X-Request-ID: a\r\nX-Request-ID-Of: b\r\nHost: h\r\nTrace: c\r\nX-D: tracestate: d\r\n"
    with serving(WEB) as (worker, seen):
        get(worker, fields=fields)
    head = seen[0].partition(b"\r\n")[2]
    assert head.startswith(b"X-Request-ID-Of: b\r\nHost: h\r\nTrace: c\r\nX-D: tracestate: d\r\nX-Request-ID: ")


def test_later_version_goes_on_as_ours_with_its_state() -> None:
    with serving(replace(WEB, tracing=replace(BOTH, accept=Accept.ALL))) as (worker, seen):
        get(worker, fields=SENT % (b"01" + SOUND[2:] + b"-more"))
    assert values(seen[0], b"traceparent") == [SOUND]
    assert values(seen[0], b"tracestate") == [b"a=1"]


def test_client_gets_the_id_of_its_request_once_whoever_answers_and_rules_use_the_same() -> None:
    listener = replace(
        WEB,
        tracing=replace(BOTH, answer=True),
        request_headers=HeaderRules(set=(("x-copy", "{request_id}"),)),
        routes=(Route(path="/fixed", respond=FixedResponse()),),
    )
    servers = b"HTTP/1.1 200 OK\r\nX-Request-ID: other\r\nContent-Length: 0\r\n\r\n"
    with serving(listener, answer=servers) as (worker, seen):
        (answered,) = values(get(worker), b"x-request-id")
        assert values(seen[0], b"x-request-id") == values(seen[0], b"x-copy") == [answered]
        (fixed,) = values(get(worker, b"/fixed"), b"x-request-id")
    assert fixed not in (answered, b"other")


def test_ids_are_logged_the_same_by_the_quick_way_and_by_the_long_one(tmp_path: Path) -> None:
    backend = TcpServer(answering(b"s1"))
    found = []
    for name, headers in (("quick", ()), ("long", ("x-missing",))):
        log = AccessLog(LogTarget.FILE, str(tmp_path / name), headers=headers)
        pool = Pool("app", (server("s1", backend.port),))
        listener = replace(WEB, tracing=replace(BOTH, accept=Accept.ALL))
        with running_worker((listener,), (pool,), access_log=log) as worker:
            with worker.connect() as client:
                for fields in (SENT % SOUND, SENT % SOUND, b"no head\r\n"):
                    client.sendall(b"GET / HTTP/1.1\r\n%b\r\n" % fields)
                    read_head(client)
            found.append(_lines(tmp_path / name, 3))
    backend.close()
    assert found[0] == found[1]
    assert found[0][1:] == [("mine", TRACE.decode()), (None, None)]
    assert found[0][0] == found[0][1]


def _lines(path: Path, count: int) -> list[tuple[Any, Any]]:
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") == count)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line.get("request_id"), line.get("trace_id")) for line in lines]


def test_one_of_both_is_given_alone(tmp_path: Path) -> None:
    for tracing, given, not_given in (
        (Tracing(request_id=True), b"x-request-id", b"traceparent"),
        (Tracing(traceparent=True), b"traceparent", b"x-request-id"),
    ):
        with serving(replace(WEB, tracing=tracing)) as (worker, seen):
            get(worker)
        assert len(values(seen[0], given)) == 1
        assert values(seen[0], not_given) == []
