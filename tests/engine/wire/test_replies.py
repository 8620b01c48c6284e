"""The answers lbapp gives in a server's place."""

from __future__ import annotations

import pytest

from lbapp.engine.wire.http1 import parse_response_head
from lbapp.engine.wire.replies import build_answer, build_redirect, build_reply, status_phrase
from lbapp.model.actions import FixedResponse


@pytest.mark.parametrize("status", [400, 404, 405, 408, 413, 414, 417, 431, 501, 502, 503, 504, 505])
@pytest.mark.parametrize("close", [True, False])
def test_reply_is_a_sound_response_that_names_lbapp(status: int, close: bool) -> None:
    reply = build_reply(status, "no eligible server in pool app", close=close)
    parsed = parse_response_head(reply, 4096, 20)
    assert parsed is not None
    head, end = parsed
    assert reply[end:] == b"lbapp: %d %b: no eligible server in pool app\n" % (status, status_phrase(status).encode())
    assert (head.status, head.content_length, head.is_persistent) == (status, len(reply) - end, not close)


def test_reply_to_head_states_the_length_of_the_body_it_leaves_away() -> None:
    whole = build_reply(503, "x", close=False)
    assert whole.startswith(build_reply(503, "x", close=False, head_only=True))
    assert build_reply(503, "x", close=False, head_only=True).endswith(b"\r\n\r\n")


def test_what_a_peer_sent_cannot_steer_a_terminal_or_a_parser() -> None:
    reply = build_reply(400, "a\r\nSet-Cookie: x\x1b[2J\u202eb", close=True)
    assert reply.endswith(b"Bad Request: a??Set-Cookie: x?[2J?b\n")


def test_statuses_that_call_for_a_field_have_it() -> None:
    assert b"\r\nRetry-After: 1\r\n" in build_reply(503, "x", close=False)
    assert b"\r\nAllow: GET, " in build_reply(405, "x", close=False)


@pytest.mark.parametrize("status", [200, 403, 418, 429, 503])
@pytest.mark.parametrize("close", [True, False])
def test_answer_that_a_route_fixes_is_a_sound_response_with_its_lines(status: int, close: bool) -> None:
    answer = FixedResponse(status, "grün", "text/html; charset=utf-8")
    reply = build_answer(answer, b"x-a: 1\r\n", close=close, head_only=False)
    parsed = parse_response_head(reply, 4096, 20)
    assert parsed is not None
    head, end = parsed
    assert reply[end:] == "grün".encode()
    assert (head.status, head.content_length, head.is_persistent) == (status, 5, not close)
    assert head.fields == b"Content-Type: text/html; charset=utf-8\r\nx-a: 1\r\n"
    assert build_answer(answer, b"x-a: 1\r\n", close=close, head_only=True) == reply[:end]


def test_no_content_has_neither_body_nor_length() -> None:
    answer = build_answer(FixedResponse(204, ""), b"", close=False, head_only=False)
    assert answer == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_redirect_names_its_location_and_repeats_nothing_in_its_body() -> None:
    reply = build_redirect(308, b"https://h/<script>", b"x-a: 1\r\n", close=True, head_only=False)
    assert b"\r\nLocation: https://h/<script>\r\nx-a: 1\r\nConnection: close\r\n\r\n" in reply
    assert reply.endswith(b"\r\n\r\nlbapp: 308 Permanent Redirect\n")
