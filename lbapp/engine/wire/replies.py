"""lbapp's own answers: what a client gets when no server's answer can be passed on.

Responsible for one small text that names lbapp, the status and the reason, and for the answers that routes fix. Knows nothing
of when they are sent. Invariant: nothing that a client or a server sent reaches the text unless it is printable ASCII.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from lbapp.model.actions import FixedResponse

# Lines that a status calls for (RFC 9110 sections 15.5.6 and 10.2.3).
_LINES_OF: Final = {
    HTTPStatus.METHOD_NOT_ALLOWED: "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
    HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After: 1\r\n",
    HTTPStatus.TOO_MANY_REQUESTS: "Retry-After: 1\r\n",
}


def status_phrase(status: int) -> str:
    """Return the standard phrase of a status, such as `Bad Gateway`."""
    return HTTPStatus(status).phrase


def build_reply(status: int, reason: str, *, close: bool, head_only: bool = False, retry_after_s: int = 0) -> bytes:
    """Return a whole answer as bytes: `lbapp: 503 Service Unavailable: REASON` as plain text.

    `retry_after_s` says when to come again, where the status alone does not.
    `head_only` leaves the body away, for HEAD; its length is stated all the same (RFC 9110 section 9.3.2).
    """
    safe = "".join(letter if " " <= letter <= "~" else "?" for letter in reason)
    body = f"lbapp: {status} {status_phrase(status)}: {safe}\n"
    head = (
        f"HTTP/1.1 {status} {status_phrase(status)}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        + (f"Retry-After: {retry_after_s}\r\n" if retry_after_s else _LINES_OF.get(HTTPStatus(status), ""))
        + ("Connection: close\r\n" if close else "")
        + "\r\n"
    )
    return (head if head_only else head + body).encode("ascii")


def build_answer(answer: FixedResponse, lines: bytes, *, close: bool, head_only: bool) -> bytes:
    """Return an answer that a route fixes. `lines` are whole lines that its head gets."""
    content = answer.body.encode()
    framing = f"Content-Type: {answer.content_type}\r\nContent-Length: {len(content)}\r\n".encode()
    if answer.status == HTTPStatus.NO_CONTENT:
        framing = content = b""
    start = f"HTTP/1.1 {answer.status} {status_phrase(answer.status)}\r\n".encode("ascii")
    end = b"Connection: close\r\n\r\n" if close else b"\r\n"
    return start + framing + lines + end + (b"" if head_only else content)


def build_redirect(status: int, location: bytes, lines: bytes, *, close: bool, head_only: bool) -> bytes:
    """Return a redirect. `location` holds no control character; the body repeats nothing of it."""
    answer = FixedResponse(status, f"lbapp: {status} {status_phrase(status)}\n")
    return build_answer(answer, b"Location: %b\r\n%b" % (location, lines), close=close, head_only=head_only)
