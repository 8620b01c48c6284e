"""The question and the answer of an HTTP probe.

Responsible for the request, for reading the whole answer, and for the words for what was not as expected. Knows nothing of
connections. Invariants: an answer counts when it is complete and well-formed; no more than PROBE_BODY_BYTES_MAX of its body
are looked at; the expression is held against REGEX_BYTES_MAX of it, so that no server can make a probe take long.
"""

from __future__ import annotations

import re
from typing import Final

import h11

from lbapp import __version__
from lbapp.engine.policy.health import ProbeResult
from lbapp.engine.supervisor.probe_stream import ProbeStream
from lbapp.model.health import HealthCheck
from lbapp.model.limits import PROBE_BODY_BYTES_MAX, PROBE_EXCERPT_BYTES_MAX, REGEX_BYTES_MAX

_OWN: Final = {"user-agent": f"lbapp/{__version__} health-check", "accept": "*/*", "connection": "close"}


async def ask(stream: ProbeStream, check: HealthCheck, authority: str) -> ProbeResult:
    """Send the request of a check and judge the answer. Raises h11.RemoteProtocolError, OSError."""
    stream.layer = "http"
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=PROBE_BODY_BYTES_MAX)
    fields = {"host": check.host or authority, **_OWN, **{name.lower(): value for name, value in check.headers}}
    request = h11.Request(method=check.method, target=check.path, headers=list(fields.items()))
    await stream.send((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    response: h11.Response | None = None
    body = b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive())
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > PROBE_BODY_BYTES_MAX:
                break
        elif not isinstance(event, h11.InformationalResponse):
            break
    if response is None:
        return ProbeResult(is_success=False, reason="closed without a response")
    return judge(check, response.status_code, [(bytes(name), bytes(value)) for name, value in response.headers], body)


def judge(check: HealthCheck, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> ProbeResult:
    """Say what a complete answer is to a check."""
    wrong = "" if check.is_expected(status) else f"HTTP {status}"
    wrong = wrong or _wrong_field(check, status, fields) or _wrong_body(check, status, body)
    excerpt = printable(body) if wrong else ""
    return ProbeResult(not wrong, wrong or f"HTTP {status}", status=status, excerpt=excerpt)


def _wrong_field(check: HealthCheck, status: int, fields: list[tuple[bytes, bytes]]) -> str:
    for name, wanted in check.expect_header:
        found = [value.decode("latin-1") for each, value in fields if each.lower() == name.lower().encode()]
        if wanted not in found:
            return f"HTTP {status}, {name} is {printable(found[0].encode())}" if found else f"HTTP {status}, no {name}"
    return ""


def _wrong_body(check: HealthCheck, status: int, body: bytes) -> str:
    if check.expect_body is not None and check.expect_body.encode() not in body:
        return f"HTTP {status}, the body lacks what is expected"
    expression = check.expect_body_regex
    if expression is not None and not re.search(expression.encode(), body[:REGEX_BYTES_MAX]):
        return f"HTTP {status}, the body is not as expected"
    return ""


def printable(data: bytes) -> str:
    """Return the beginning of what a server said, on one line that no terminal obeys."""
    text = data[:PROBE_EXCERPT_BYTES_MAX].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()
