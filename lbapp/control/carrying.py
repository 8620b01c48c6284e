"""A call of the control API as an HTTP request, and what came back as a message.

Responsible for the bytes of both, for lines in a stream, and for turning what goes wrong into errors with a sentence. Knows
nothing of any one call, or of who waits for the answer: a thread or an event loop. httpcore is imported when something is
carried: the command line starts without it.

Invariant: an answer is a whole message, or RequestRefused or EngineUnreachable is raised.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NotRequired, TypedDict
from urllib.parse import quote, urlencode

from lbapp.control.calls import Call
from lbapp.model.errors import EngineUnreachable, Problem, RequestRefused

START: Final = "Start one with: lbapp run -c FILE"


class Parts(TypedDict):
    """What httpcore is told beside method and URL."""

    headers: list[tuple[str, str]]
    content: NotRequired[bytes]
    extensions: dict[str, Any]


def request(call: Call[Any]) -> tuple[str, str, Parts]:
    """Return method, URL and the rest of a call."""
    query = f"?{urlencode(call.query, quote_via=quote)}" if call.query else ""
    waits = dict.fromkeys(("connect", "read", "write", "pool"), call.timeout_s)
    parts: Parts = {"headers": [], "extensions": {"timeout": waits}}
    if call.body is not None:
        parts["headers"].append(("Content-Type", "application/json"))
        parts["content"] = json.dumps(call.body).encode()
    return call.method, f"http://lbapp{call.path}{query}", parts


def message(status: int, content: bytes, also: Sequence[int] = ()) -> Any:
    """Return the message of an answer. Raises RequestRefused, and ValueError when it is no JSON.

    `also`: statuses that come with an answer, unless an error stands there.
    """
    if status in also and (not isinstance(found := json.loads(content), dict) or found.keys() - {"error"}):
        return found
    check(status, content)
    return json.loads(content)


def check(status: int, content: bytes) -> None:
    """Raise RequestRefused for an answer that is none."""
    if 200 <= status < 300:
        return
    try:
        detail = json.loads(content)["error"]
        code, said, hint = str(detail["code"]), str(detail["message"]), str(detail["hint"])
        problems = [
            Problem(each["file"], each["line"], each["key"], each["message"]) for each in detail.get("problems", ())
        ]
    except (ValueError, KeyError, TypeError):
        code, said, hint, problems = "unexpected", f"the engine answered {status}", "", []
    raise RequestRefused(code, said, hint, status, problems)


@contextmanager
def reaching(name: str) -> Iterator[None]:
    """Turn what went wrong on the way into EngineUnreachable. `name`: what the socket is to people."""
    import httpcore

    broken = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
    try:
        yield
    except (*broken, json.JSONDecodeError, UnicodeDecodeError) as error:
        if _is_forbidden(error):
            hint = "Run this as the user that runs the engine, or as root"
            raise EngineUnreachable(f"you may not use the control socket {name}", hint) from error
        raise EngineUnreachable(f"no engine answers on {name}", START) from error


def _is_forbidden(error: BaseException | None) -> bool:
    """Say whether a refused permission lies behind an error; httpcore wraps what the socket said."""
    while error is not None and not isinstance(error, PermissionError):
        error = error.__cause__ or error.__context__
    return error is not None


class Lines:
    """The lines of JSON in a stream of bytes that comes in parts of any size."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []  # joined once the line has ended: it may be a megabyte long

    def take(self, part: bytes) -> Iterator[Any]:
        """Give what has come in whole with this part. Raises ValueError for a line that is no JSON."""
        *ended, rest = part.split(b"\n")
        for each in ended:
            line = b"".join((*self._begun, each))
            self._begun.clear()
            if line:
                yield json.loads(line)
        if rest:
            self._begun.append(rest)
