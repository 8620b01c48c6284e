"""Running one vector against a proxy, and what is wrong with what came of it.

Responsible for the client's side, the four views (client, server, lint of every byte, victims) and the verdict. Knows nothing
of which proxy it is. Invariant: two victims with connections of their own follow every vector, and must get their own bodies.
"""

from __future__ import annotations

import itertools
import socket
from contextlib import suppress
from dataclasses import dataclass, field

from tests.fuzz.recorder import Recorder
from tests.fuzz.strict import Incomplete, Message, Unsound, read_response
from tests.fuzz.vectors.kinds import Vector

_victims = itertools.count()
PATIENCE_S = 5.0
_SMUGGLED = "the server saw a request that nobody sent"
_SPLIT = "the client got an answer to no request"
OWN_DOING = frozenset((_SMUGGLED, _SPLIT))  # of a vector that was changed: its own second request, or answer


@dataclass
class Result:
    """What came of one vector. `problems` is empty when all is as it must be."""

    answers: list[Message] = field(default_factory=list)
    seen: int = 0
    is_cut: bool = False
    is_closed: bool = False
    problems: list[str] = field(default_factory=list)
    poison: list[str] = field(default_factory=list)  # those of lint and victims: never to be excused

    @property
    def verdict(self) -> str:
        """Return what came of it in a few words, to compare by."""
        statuses = " ".join(str(answer.status) for answer in self.answers) or "nothing"
        return f"{statuses}{', cut short' if self.is_cut else ''}; {self.seen} seen{'; UNSOUND' if self.poison else ''}"


def run_vector(vector: Vector, address: tuple[str, int], recorder: Recorder, patience_s: float = PATIENCE_S) -> Result:
    """Send a vector to the proxy at `address`, whose only server is the recorder."""
    recorder.set(vector.answer, is_early=vector.is_early)
    result = Result()
    received = _exchange(vector, address, result, patience_s)
    recorder.wait_for_scripts()
    _victim(address, result, patience_s)
    _victim(address, result, patience_s)
    recorder.check_begun()
    result.seen = len(recorder.requests)
    result.poison += [f"to the server: {reason}" for reason in recorder.unsound]
    if any(b" /smuggled" in request.start for request in recorder.requests):
        result.poison.append(_SMUGGLED)
    if b"X-Split" in received:
        result.poison.append(_SPLIT)
    _judge(vector, result, received, recorder.requests)
    result.problems += result.poison
    return result


def _methods(vector: Vector) -> list[bytes]:
    first = vector.request.lstrip(b"\r\n").partition(b" ")[0]
    return [first, b"GET", b"GET"]


def _exchange(vector: Vector, address: tuple[str, int], result: Result, patience_s: float) -> bytes:
    """Send, read all answers, and return every byte that came."""
    received = b""
    methods = _methods(vector)
    with socket.create_connection(address, timeout=patience_s) as client:
        with suppress(OSError):
            client.sendall(vector.request)
            if vector.ends:
                client.shutdown(socket.SHUT_WR)
        has_shut = vector.ends
        while True:
            try:
                more = client.recv(65536)
            except TimeoutError:
                break
            except OSError:
                result.is_closed = True
                break
            if not more:
                result.is_closed = True
                break
            received += more
            finals, _, _ = _read_answers(received, methods, has_ended=False)
            if len(finals) >= len(vector.statuses) and not vector.closes and not has_shut:
                has_shut = True
                with suppress(OSError):
                    client.shutdown(socket.SHUT_WR)  # nothing more is expected: whatever comes now is too much
    result.answers, result.is_cut, unsound = _read_answers(received, methods, has_ended=True)
    result.poison += unsound
    return received


def _read_answers(data: bytes, methods: list[bytes], *, has_ended: bool) -> tuple[list[Message], bool, list[str]]:
    finals: list[Message] = []
    while data:
        try:
            answer = read_response(data, methods[min(len(finals), 2)], has_ended=has_ended)
        except Incomplete:
            if has_ended:
                with suppress(Incomplete, Unsound):
                    finals.append(read_response(data, b"HEAD"))
            return finals, True, []
        except Unsound as error:
            return finals, False, [f"to the client: {error}: {data[:200]!r}"]
        data = data[len(answer.raw) :]
        if answer.status >= 200 or answer.status == 101:
            finals.append(answer)
    return finals, False, []


def _victim(address: tuple[str, int], result: Result, patience_s: float) -> None:
    path = b"/victim/%d" % next(_victims)
    data = b""
    try:
        with socket.create_connection(address, timeout=patience_s) as client:
            client.sendall(b"GET %b HTTP/1.1\r\nHost: victim.test\r\nConnection: close\r\n\r\n" % path)
            while more := client.recv(65536):
                data += more
        answer = read_response(data, b"GET", has_ended=True)
        is_its_own = answer.status == 200 and answer.body == path and answer.raw == data
    except (Unsound, Incomplete, OSError):
        is_its_own = False
    if not is_its_own:
        result.poison.append(f"a victim got {data[:200]!r}")


def _judge(vector: Vector, result: Result, received: bytes, requests: list[Message]) -> None:
    problems, statuses = result.problems, [answer.status for answer in result.answers]
    if vector.statuses or statuses:
        allowed = vector.statuses or (frozenset({400, 408}),)
        if len(statuses) != len(allowed) or any(a not in b for a, b in zip(statuses, allowed, strict=False)):
            problems.append(f"answered {statuses}, not {[sorted(each) for each in allowed]}")
    if result.seen != vector.seen:
        problems.append(f"{result.seen} requests reached the server, not {vector.seen}")
    if vector.is_cut != result.is_cut and not (vector.is_cut and statuses == [502]):
        problems.append("the answer is cut short" if result.is_cut else "the answer looks whole")
    if vector.closes and not result.is_closed:
        problems.append("the connection stays open")
    sent_on = b"".join(request.raw for request in requests)
    problems.extend(
        f"the server did not get {part!r} but {sent_on[:300]!r}" for part in vector.must if part not in sent_on
    )
    problems.extend(f"the server got {part!r}" for part in vector.must_not if part in sent_on)
    problems.extend(f"the client did not get {part!r}" for part in vector.reply_must if part not in received)
    problems.extend(f"the client got {part!r}" for part in vector.reply_must_not if part in received)
    if vector.body is not None and [answer.body for answer in result.answers[:1]] != [vector.body]:
        problems.append(f"the client got another body in {received[:300]!r}")
