"""What a head says before anything more is known of it."""

from __future__ import annotations

from lbapp.engine.wire.heads import BadRequest, BadResponse, RequestHead, ResponseHead


def test_new_request_head_has_no_body_and_keeps_its_connection() -> None:
    head = RequestHead(b"GET", b"/", b"h", b"Host: h\r\n")
    assert (head.version, head.content_length, head.has_length, head.is_chunked) == (11, 0, False, False)
    assert (head.is_persistent, head.expects_continue, head.upgrade) == (True, False, b"")


def test_new_response_head_has_no_length_and_keeps_its_connection() -> None:
    head = ResponseHead(200, b"OK", b"")
    assert (head.version, head.content_length, head.is_chunked, head.is_persistent) == (11, -1, False, True)


def test_refusals_carry_their_sentence() -> None:
    assert (str(BadRequest(431, "too large")), BadRequest(431, "too large").status) == ("too large", 431)
    assert str(BadResponse("no head")) == "no head"
