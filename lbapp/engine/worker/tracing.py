"""Ids by which a request is found again: at the client, in the access log, at the server.

Responsible for taking over those that came with a request, for making others, and for the fields that go on. Knows nothing of
what a sound one looks like (`wire.trace_context`).

Invariants: an id goes on exactly once; what came and is not believed, or is malformed, does not go on; with a trace that is
begun anew no tracestate goes on, as it belongs to another.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, Final

from lbapp.engine.wire.forwarding import is_trusted
from lbapp.engine.wire.heads import RequestHead
from lbapp.engine.wire.rewriting import lines_named
from lbapp.engine.wire.trace_context import is_request_id, new_traceparent, parse_traceparent
from lbapp.model.actions import NO_RULES, HeaderRules
from lbapp.model.entities import Listener
from lbapp.model.tracing import Accept

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

_REQUEST_ID: Final = "x-request-id"
_request_id_lines: Final = lines_named([_REQUEST_ID])
_traceparent_lines: Final = lines_named(["traceparent"])
_tracestate_lines: Final = lines_named(["tracestate"])


class Tracer:
    """Gives the requests of one listener what it asks for."""

    def __init__(self, listener: Listener, random: Random) -> None:
        self._settings = listener.tracing
        self._forwarding = listener.forwarding
        self._random = random

    def trace(self, client: Downstream, head: RequestHead) -> None:
        """Note the ids of a request on its head, and have them go on."""
        accept = self._settings.accept
        is_believed = accept is Accept.ALL or (
            accept is Accept.TRUSTED and is_trusted(client.address, self._forwarding)
        )
        request_id = self._request_id(head, is_believed) if self._settings.request_id else b""
        trace_id = self._trace_id(head, is_believed) if self._settings.traceparent else b""
        head.trace = (request_id, trace_id)

    def _request_id(self, head: RequestHead, is_believed: bool) -> bytes:
        found = _lines(_request_id_lines, b"x-request-id:", head.fields)
        if len(found) == 1 and is_believed and is_request_id(value := _value(found[0])):
            return value
        made = b"%032x" % self._random.getrandbits(128)
        kept = _request_id_lines.sub(b"", head.fields) if found else head.fields
        head.fields = b"%bX-Request-ID: %b\r\n" % (kept, made)
        return made

    def _trace_id(self, head: RequestHead, is_believed: bool) -> bytes:
        found = _lines(_traceparent_lines, b"traceparent:", head.fields)
        came = _value(found[0]) if len(found) == 1 else b""
        goes_on = parse_traceparent(came) if is_believed else None
        if goes_on is not None and goes_on.value == came:
            return goes_on.trace_id
        kept = _traceparent_lines.sub(b"", head.fields) if found else head.fields
        if goes_on is None:
            goes_on = new_traceparent(self._random.getrandbits(192))
            if _lines(_tracestate_lines, b"tracestate:", kept):
                kept = _tracestate_lines.sub(b"", kept)
        head.fields = b"%btraceparent: %b\r\n" % (kept, goes_on.value)
        return goes_on.trace_id


def answer_rules(listener: Listener) -> HeaderRules:
    """Return what the answers of a listener get of it, before all other rules."""
    return HeaderRules(set=((_REQUEST_ID, "{request_id}"),)) if listener.tracing.answer else NO_RULES


def _lines(lines: re.Pattern[bytes], start: bytes, fields: bytes) -> list[bytes]:
    """Return the whole lines that match; the expression is asked only where there may be one, as most requests have none."""
    return lines.findall(fields) if start in fields.lower() else []


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2].strip(b" \t\r\n")
