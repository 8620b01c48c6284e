"""What is repeated at another server, and what never is: servers that count what they get and fail as told."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.model.entities import Listener, Pool, Retry
from lbapp.model.limits import Limits
from lbapp.model.outcomes import FailureKind
from tests.engine.worker.harness import RunningWorker, TcpServer, read_exactly, read_head, running_worker, server

Fault = Callable[[socket.socket], None]
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class CountingServer:
    """Reads each request whole, counts its id and body, then does as its fault says."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self.ids: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self._lock = threading.Lock()
        self.tcp = TcpServer(self._handle)

    def _handle(self, connection: socket.socket) -> None:
        rest = b""
        while True:
            head, rest = read_head(connection, rest)
            fields = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:])
            }
            body = b""
            if fields.get("transfer-encoding"):
                while not rest.endswith(b"0\r\n\r\n"):
                    rest += connection.recv(65536)
                body, rest = rest, b""
            elif length := int(fields.get("content-length", 0)):
                rest = read_exactly(connection, length, rest)
                body, rest = rest[:length], rest[length:]
            with self._lock:
                self.ids[fields.get("x-id", "")] += 1
                self.bodies.append(body)
            self._fault(connection)


def well(connection: socket.socket) -> None:
    connection.sendall(_OK)


def closes(connection: socket.socket) -> None:
    raise OSError


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raise OSError


def breaks_its_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    raise OSError


def talks_nonsense(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example.com ESMTP\r\n\r\n")
    raise OSError


def answers(status: int) -> Fault:
    def fault(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 %d Oh\r\nContent-Length: 4\r\n\r\nfail" % status)

    return fault


FAULTS = {"closes": closes, "resets": resets, "breaks its head": breaks_its_head, "talks nonsense": talks_nonsense}


@contextmanager
def failing_pool(
    *faults: Fault, retry: Retry | None = None, limits: Limits | None = None
) -> Iterator[tuple[RunningWorker, list[CountingServer]]]:
    servers = [CountingServer(fault) for fault in faults]
    pool = Pool(
        "app",
        tuple(server(f"s{number}", each.tcp.port) for number, each in enumerate(servers)),
        retry=retry or Retry(budget_min=1000),
    )
    try:
        with running_worker((Listener("web", (), pool="app"),), (pool,), limits) as worker:
            yield worker, servers
    finally:
        for each in servers:
            each.tcp.close()


def request(method: str, name: str, body: bytes = b"", *, is_chunked: bool = False) -> bytes:
    framing = "Transfer-Encoding: chunked\r\n" if is_chunked else f"Content-Length: {len(body)}\r\n" if body else ""
    head = f"{method} / HTTP/1.1\r\nHost: a\r\nX-Id: {name}\r\nConnection: close\r\n{framing}\r\n".encode()
    return head + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body)


def status(answer: bytes) -> int:
    return int(answer[9:12])


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
@pytest.mark.parametrize("body", [b"", b"x" * 100, b"x" * 200_000], ids=["no body", "small", "large"])
def test_what_must_not_be_done_twice_is_never_done_twice(method: str, fault: Fault, body: bytes) -> None:
    retry = Retry(attempts=4, budget_min=1000, on_status=(502, 503, 504))
    with failing_pool(fault, fault, answers(503), well, retry=retry) as (worker, servers):
        for number in range(8):
            worker.request(request(method, str(number), body))
        total: Counter[str] = sum((each.ids for each in servers), Counter())
        assert set(total.values()) == {1}
        assert len(total) == 8


def test_a_post_on_a_connection_kept_idle_is_not_done_twice() -> None:
    count = iter(range(1000))

    def every_other(connection: socket.socket) -> None:
        if next(count) % 2:
            raise OSError
        connection.sendall(_OK)

    with failing_pool(every_other) as (worker, servers):
        for number in range(20):
            worker.request(request("POST", str(number), b"pay"))
        assert set(servers[0].ids.values()) == {1}
        assert len(servers[0].ids) == 20


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_may_be_done_twice_is_sent_to_another_server_once(method: str, fault: Fault) -> None:
    body = b"" if method == "GET" else b"content"
    with failing_pool(fault, well) as (worker, servers):
        answers_got = [status(worker.request(request(method, str(number), body))) for number in range(6)]
        assert answers_got == [200] * 6
        assert set(servers[1].ids.values()) == {1}
        assert set(servers[0].ids.values()) == {1}  # never the same server twice
        assert set(servers[0].bodies + servers[1].bodies) == {body}


def test_the_same_server_is_never_asked_twice_and_attempts_are_limited() -> None:
    with failing_pool(closes, closes, closes, retry=Retry(attempts=3, budget_min=1000)) as (worker, servers):
        assert status(worker.request(request("GET", "1"))) == 502
        assert [each.ids["1"] for each in servers] == [1, 1, 1]
    with failing_pool(closes, closes, closes, retry=Retry(attempts=1)) as (worker, servers):
        assert status(worker.request(request("GET", "1"))) == 502
        assert sum(each.ids["1"] for each in servers) == 1


def test_a_body_in_chunks_is_repeated_whole() -> None:
    with failing_pool(closes, well) as (worker, servers):
        for number in range(2):
            assert status(worker.request(request("PUT", str(number), b"content" * 100, is_chunked=True))) == 200
        assert all(b"content" * 100 in body for body in servers[1].bodies)


def test_a_body_that_drips_in_is_kept_for_a_repeat() -> None:
    with failing_pool(closes, well) as (worker, servers):
        for _ in range(2):  # one of the two begins at the server that closes
            with worker.connect() as client:
                raw = request("PUT", "1", b"0123456789")
                client.sendall(raw[:-8])
                client.sendall(raw[-8:-3])
                client.sendall(raw[-3:])
                assert b" 200 OK" in read_exactly(client, 15)
        assert set(servers[1].bodies) == {b"0123456789"}


def test_a_body_beyond_the_limit_is_not_kept() -> None:
    with failing_pool(closes, well, limits=Limits(retry_body_bytes_max=1000)) as (worker, servers):
        got = sorted(status(worker.request(request("PUT", str(number), b"x" * 1001))) for number in range(2))
        assert got == [200, 502]
        assert servers[1].ids.total() == 1


def test_the_budget_keeps_repeats_from_multiplying_the_load() -> None:
    retry = Retry(attempts=2, budget_percent=20, budget_min=3)
    with failing_pool(closes, closes, retry=retry) as (worker, servers):
        for number in range(50):
            assert status(worker.request(request("GET", str(number)))) == 502
        repeats = sum(each.ids.total() for each in servers) - 50
        assert 3 <= repeats <= 10
        assert worker.pool().retries_refused == 50 - repeats


def test_a_status_is_tried_elsewhere_when_the_pool_says_so() -> None:
    with failing_pool(answers(503), well, retry=Retry(on_status=(503,), budget_min=1000)) as (worker, servers):
        assert [status(worker.request(request("GET", str(number)))) for number in range(6)] == [200] * 6
        assert worker.server("app/s0").failures[FailureKind.RESPONSE_STATUS] == servers[0].ids.total() > 0
        assert sorted(status(worker.request(request("POST", f"p{number}"))) for number in range(2)) == [200, 503]


def test_a_status_goes_on_as_it_is_by_default_and_where_there_is_no_other_server() -> None:
    with failing_pool(answers(503), answers(503)) as (worker, _):
        assert worker.request(request("GET", "1")).endswith(b"fail")
    with failing_pool(answers(503), retry=Retry(on_status=(503,))) as (worker, servers):
        assert worker.request(request("GET", "1")).endswith(b"fail")
        assert servers[0].ids["1"] == 1
        worker.set_state("app/s0", at.STATE_WEIGHT, 1)
        assert worker.request(request("GET", "2")).endswith(b"fail")


def test_no_attempt_begins_after_the_deadline_of_them_all() -> None:
    gate = threading.Event()

    def slow(connection: socket.socket) -> None:
        gate.wait(0.5)
        raise OSError

    with failing_pool(slow, slow, retry=Retry(timeout_s=0.2, budget_min=1000)) as (worker, servers):
        assert status(worker.request(request("GET", "1"))) == 502
        assert sum(each.ids["1"] for each in servers) == 1


def test_a_second_repeat_waits_and_the_exchange_goes_on_after_it() -> None:
    faults = (closes, closes, closes, closes, well)
    with failing_pool(*faults, retry=Retry(attempts=5, budget_min=1000)) as (worker, servers):
        assert {status(worker.request(request("GET", str(number)))) for number in range(10)} == {200}
        assert servers[4].ids.total() == 10
        assert [worker.server(f"app/s{number}").in_flight for number in range(5)] == [0] * 5


def test_connects_that_fail_are_not_charged_to_the_budget() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    good = CountingServer(well)
    pool = Pool("app", (server("s0", port), server("s1", good.tcp.port)), retry=Retry(budget_min=0, budget_percent=0))
    try:
        with running_worker((Listener("web", (), pool="app"),), (pool,)) as worker:
            assert {status(worker.request(request("POST", str(number), b"x"))) for number in range(20)} == {200}
            assert set(good.ids.values()) == {1}
    finally:
        good.tcp.close()
