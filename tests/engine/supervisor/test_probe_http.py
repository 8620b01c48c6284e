"""What an HTTP probe asks and what it accepts, against real sockets."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from lbapp.engine.policy.health import ProbeResult
from lbapp.engine.supervisor.probe_http import judge, printable
from lbapp.engine.supervisor.probes import probe
from lbapp.model.entities import CheckType, HealthCheck
from lbapp.model.limits import PROBE_BODY_BYTES_MAX, REGEX_BYTES_MAX
from tests.engine.supervisor.test_probes import answering, at

pytestmark = pytest.mark.anyio
HTTP = HealthCheck(CheckType.HTTP, path="/healthz?deep=1", timeout_s=2.0)


async def asked(check: HealthCheck, answer: bytes = b"HTTP/1.1 204 No Content\r\n\r\n") -> tuple[ProbeResult, bytes]:
    """Return what a probe found in an answer, and its request."""
    seen: list[bytes] = []

    def send(connection: socket.socket) -> None:
        seen.append(connection.recv(4096))
        try:
            connection.sendall(answer)
        except OSError:
            return  # it has read enough

    with answering(send) as port:
        result = await probe(check, at(port), "own.test:80")
    return result, seen[0]


async def test_request_is_the_one_of_the_check() -> None:
    _, plain = await asked(HTTP)
    assert plain.startswith(b"GET /healthz?deep=1 HTTP/1.1\r\n")
    assert b"\r\nhost: own.test:80\r\n" in plain.lower()
    check = replace(HTTP, method="HEAD", host="app.example", headers=(("x-probe", "yes"), ("user-agent", "mine")))
    _, special = await asked(check)
    assert special.startswith(b"HEAD /healthz?deep=1 HTTP/1.1\r\n")
    for line in (b"host: app.example", b"x-probe: yes", b"user-agent: mine"):
        assert b"\r\n" + line + b"\r\n" in special.lower()


async def test_head_has_no_body_to_wait_for() -> None:
    result, _ = await asked(replace(HTTP, method="HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    assert (result.is_success, result.reason) == (True, "HTTP 200")


def test_status_is_held_against_every_range() -> None:
    check = replace(HTTP, expect_status=((200, 204), (401, 401)))
    verdicts = {status: judge(check, status, [], b"").is_success for status in (199, 200, 204, 205, 400, 401, 402)}
    assert [status for status, is_success in verdicts.items() if is_success] == [200, 204, 401]


def test_fields_have_to_be_there_with_their_values() -> None:
    check = replace(HTTP, expect_header=(("x-ready", "yes"),))
    assert judge(check, 200, [(b"X-Ready", b"yes")], b"").is_success
    assert judge(check, 200, [(b"x-ready", b"no"), (b"x-ready", b"yes")], b"").is_success
    assert judge(check, 200, [(b"x-ready", b"no")], b"").reason == "HTTP 200, x-ready is no"
    assert judge(check, 200, [], b"").reason == "HTTP 200, no x-ready"


def test_body_has_to_say_what_is_expected_and_a_failure_shows_what_it_said() -> None:
    check = replace(HTTP, expect_body="all good")
    assert judge(check, 200, [], b"{all good}").is_success
    failed = judge(check, 200, [], b"disk\x1b[2J full")
    assert (failed.reason, failed.excerpt) == ("HTTP 200, the body lacks what is expected", "disk [2J full")
    check = replace(HTTP, expect_body_regex="go+d")
    assert judge(check, 200, [], b"a goood day").is_success
    assert not judge(check, 200, [], b"gd").is_success
    assert not judge(check, 200, [], b" " * REGEX_BYTES_MAX + b"good").is_success


async def test_more_of_a_body_than_one_looks_at_is_not_read() -> None:
    check = replace(HTTP, expect_body="end")
    size = PROBE_BODY_BYTES_MAX * 8
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    result, _ = await asked(check, head + b"x" * (size - 3) + b"end")
    assert result.reason == "HTTP 200, the body lacks what is expected"


def test_excerpt_is_one_line_that_no_terminal_obeys() -> None:
    assert printable(b"\x1b[31mred\r\nnext\xff") == "[31mred  next\ufffd"
