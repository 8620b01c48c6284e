"""Plain text said and expected, against real sockets."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from lbapp.engine.supervisor.probes import probe
from lbapp.model.entities import CheckType, HealthCheck
from lbapp.model.limits import PROBE_BODY_BYTES_MAX
from tests.engine.supervisor.test_probes import answering, at

pytestmark = pytest.mark.anyio
REDIS = HealthCheck(CheckType.TCP, timeout_s=1.0, send="PING\r\n", expect="+PONG")


async def said(check: HealthCheck, *parts: bytes) -> tuple[bool, str, str]:
    def talk(connection: socket.socket) -> None:
        if check.send is not None:
            assert connection.recv(100) == check.send.encode()
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                return  # it has heard enough

    with answering(talk) as port:
        result = await probe(check, at(port), "h")
    return result.is_success, result.reason, result.excerpt


async def test_answer_may_come_in_parts() -> None:
    assert await said(REDIS, b"+PO", b"NG\r\n") == (True, "said what is expected", "")


async def test_who_speaks_first_is_listened_to() -> None:
    assert (await said(replace(REDIS, send=None, expect="220 "), b"220 mail.example\r\n"))[0]


async def test_what_is_only_said_needs_no_answer() -> None:
    assert await said(replace(REDIS, expect=None)) == (True, "connected and sent", "")


async def test_other_answer_is_a_failure_that_shows_it() -> None:
    assert await said(REDIS, b"-LOADING\r\n") == (False, "it did not say what is expected", "-LOADING")


async def test_server_that_talks_without_end_is_not_listened_to_for_ever() -> None:
    is_success, reason, _ = await said(REDIS, b"x" * (4 * PROBE_BODY_BYTES_MAX))
    assert (is_success, reason) == (False, "it did not say what is expected")


async def test_silence_is_a_failure_within_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = await probe(replace(REDIS, timeout_s=0.1), at(server.getsockname()[1]), "h")
    assert (result.is_success, result.reason, result.layer) == (False, "no answer within 0.1s", "tcp")
