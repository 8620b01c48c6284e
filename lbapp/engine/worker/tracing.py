"""Ids by which a request is found again: at the client, in the access log, at the server.

Responsible for taking over those that came with a request, for giving others, and for the fields that go on. Knows nothing of
what a sound one looks like, nor how one is made (`wire.trace_context`).

Invariants: an id goes on exactly once; what came and is not believed, or is malformed, does not go on, in no spelling; with a
trace that is begun anew no tracestate goes on, as it belongs to another; a request's fields are looked through once.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from lbapp.engine.wire.forwarding import is_trusted
from lbapp.engine.wire.grammar import any_case
from lbapp.engine.wire.heads import RequestHead
from lbapp.engine.wire.trace_context import Ids, is_request_id, new_ids, parse_traceparent
from lbapp.model.actions import NO_RULES, HeaderRules
from lbapp.model.entities import Listener
from lbapp.model.tracing import Accept

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

_REQUEST_ID: Final = b"x-request-id"
_TRACEPARENT: Final = b"traceparent"
_TRACESTATE: Final = b"tracestate"


class Tracer:
    """Gives the requests of one listener what it asks for."""

    def __init__(self, listener: Listener) -> None:
        settings = listener.tracing
        self._forwarding = listener.forwarding
        self._gives_request_id, self._gives_trace = settings.request_id, settings.traceparent
        self._believes_all = settings.accept is Accept.ALL
        self._believes_some = settings.accept is Accept.TRUSTED and bool(listener.forwarding.trusted_proxies)
        names = [_REQUEST_ID] if settings.request_id else []
        names += [_TRACEPARENT, _TRACESTATE] if settings.traceparent else []
        # Behind a line's end: `re` finds a fixed first byte four times as fast as the start of a line.
        self._lines = re.compile(rb"\n(%b):([^\r]*+)\r" % b"|".join(map(any_case, names)))
        self._ids = new_ids(os.urandom)

    def trace(self, client: Downstream, head: RequestHead) -> None:
        """Note the ids of a request on its head, and have them go on: hot."""
        block = b"\n" + head.fields
        ids = next(self._ids)
        state = b""
        is_believed = self._believes_all or (self._believes_some and is_trusted(client.address, self._forwarding))
        if is_believed and (found := self._lines.findall(block)):
            ids, state = _take_over(found, ids)
        request_id, trace_id, traceparent = ids
        if not self._gives_trace:
            head.trace = (request_id, "")
            lines = f"X-Request-ID: {request_id}\r\n"
        elif self._gives_request_id:
            head.trace = (request_id, trace_id)
            lines = f"X-Request-ID: {request_id}\r\ntraceparent: {traceparent}\r\n"
        else:
            head.trace = ("", trace_id)
            lines = f"traceparent: {traceparent}\r\n"
        head.fields = self._lines.sub(b"", block)[1:] + lines.encode("ascii") + state


def _take_over(found: list[tuple[bytes, bytes]], made: Ids) -> tuple[Ids, bytes]:
    """Return the ids of a request that is believed, `made` where it has no sound ones, and the lines of its trace's state."""
    said: dict[bytes, list[bytes]] = {}
    for name, value in found:
        said.setdefault(name.lower().replace(b"_", b"-"), []).append(value.strip(b" \t"))
    request_ids, parents = said.get(_REQUEST_ID, []), said.get(_TRACEPARENT, [])
    request_id, trace_id, traceparent = made
    if len(request_ids) == 1 and is_request_id(request_ids[0]):
        request_id = request_ids[0].decode("ascii")
    goes_on = parse_traceparent(parents[0]) if len(parents) == 1 else None
    if goes_on is None:
        return (request_id, trace_id, traceparent), b""
    state = b"".join(b"tracestate: %b\r\n" % value for value in said.get(_TRACESTATE, []))
    return (request_id, goes_on.trace_id.decode("ascii"), goes_on.value.decode("ascii")), state


def answer_rules(listener: Listener) -> HeaderRules:
    """Return what the answers of a listener get of it, before all other rules."""
    return HeaderRules(set=((_REQUEST_ID.decode(), "{request_id}"),)) if listener.tracing.answer else NO_RULES
