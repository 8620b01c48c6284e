"""Exchanges through a real worker, against real servers that answer well or badly."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from dataclasses import dataclass

import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.totals import ListenerTotals, ServerTotals
from lbapp.model.entities import AlgorithmName, Bind, Listener, Pool, Route
from lbapp.model.limits import Limits
from lbapp.model.outcomes import FailureKind, Outcome
from lbapp.model.states import AdminState, HealthState
from tests.engine.worker.harness import (
    Handler,
    TcpServer,
    answering,
    read_exactly,
    read_head,
    running_worker,
    scripted,
    server,
)
from tests.system.harness import free_port, wait_for

WEB = (Listener("web", (Bind("127.0.0.1", 0),), pool="app"),)
GET = b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


@dataclass
class Counted:
    """What the worker had counted when the exchange was over."""

    final: tuple[ServerTotals, ListenerTotals]


def exchange(handler: Handler, raw: bytes, limits: Limits | None = None) -> tuple[bytes, Counted]:
    """Send `raw` through a worker to one server; return the whole answer and the counts."""
    backend = TcpServer(handler)
    try:
        with running_worker(WEB, (Pool("app", (server("a", backend.port),)),), limits) as worker:
            answer = worker.request(raw)
            return answer, Counted((worker.server("app/a"), worker.listener()))
    finally:
        backend.close()


def test_request_goes_on_without_hop_by_hop_fields_and_with_forwarding_fields() -> None:
    seen: list[bytes] = []
    raw = (
        b"GET /p?q=1 HTTP/1.1\r\nHost: h.example:80\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n"
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nAccept: */*\r\n\r\n"
    )
    answer, _ = exchange(answering(b"ok", seen), raw)
    assert answer.endswith(b"\r\n\r\nok")
    assert b"Connection: close" in answer
    assert seen == [
        b"GET /p?q=1 HTTP/1.1\r\nHost: h.example:80\r\nAccept: */*\r\nX-Forwarded-For: 127.0.0.1\r\n"
        b"X-Forwarded-Proto: http\r\nVia: 1.1 lbapp\r\nX-Forwarded-Host: h.example:80\r\n\r\n"
    ]


def test_pipelined_requests_are_answered_in_order_on_one_upstream_connection() -> None:
    def echo_path(connection: socket.socket) -> None:
        rest = b""
        while True:
            head, rest = read_head(connection, rest)
            path = head.split(b" ")[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    requests = b"".join(b"GET /n%02d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(20))
    answer, worker = exchange(echo_path, requests + GET)
    assert (places := [answer.find(b"/n%02d" % number) for number in range(20)]) == sorted(places)
    assert answer.endswith(b"/x")
    assert worker.final[0].connections_total == 1
    assert worker.final[0].requests == 21


def test_http10_client_gets_a_body_until_close_instead_of_chunks() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n"
    answer, _ = exchange(scripted(chunked), b"GET / HTTP/1.0\r\n\r\n")
    assert b"Transfer-Encoding" not in answer
    assert answer.endswith(b"\r\n\r\nwikipedia")


def test_http10_keep_alive_is_honoured_when_asked_for() -> None:
    answer, _ = exchange(answering(b"a"), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET)
    assert b"Connection: keep-alive" in answer
    assert answer.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_chunked_upload_and_download_with_trailers_arrive_byte_for_byte(step: int) -> None:
    body = random.Random(step).randbytes(9_000 if step == 1 else 300_000)

    def swallow_and_return(connection: socket.socket) -> None:
        _, data = read_head(connection)
        while not data.endswith(b"0\r\nX-Sum: up\r\n\r\n"):
            data += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(data.replace(b"X-Sum: up", b"X-Sum: down"))

    sizes = [min(20_000, len(body) - start) for start in range(0, len(body), 20_000)]
    framed = b""
    start = 0
    for size in sizes:
        framed += b"%x\r\n%b\r\n" % (size, body[start : start + size])
        start += size
    framed += b"0\r\nX-Sum: up\r\n\r\n"
    backend = TcpServer(swallow_and_return)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for start in range(0, len(framed), max(step, 1000 if step > 1 else 1)):
            client.sendall(framed[start : start + max(step, 1000 if step > 1 else 1)])
        answer = b""
        while data := client.recv(65536):
            answer += data
    backend.close()
    _, _, chunks = answer.partition(b"\r\n\r\n")
    assert unchunked(chunks) == (body, b"X-Sum: down\r\n")


def unchunked(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            trailers, _, rest = data.partition(b"\r\n\r\n") if data != b"\r\n" else (b"", b"", b"")
            assert not rest
            return body, trailers + b"\r\n" if trailers else b""
        body += data[:size]
        data = data[size + 2 :]


def test_large_bodies_of_known_length_pass_both_ways_unchanged() -> None:
    body = random.Random(3).randbytes(5_000_000)

    def echo(connection: socket.socket) -> None:
        _, rest = read_head(connection)
        data = read_exactly(connection, len(body), rest)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)

    raw = b"PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    answer, worker = exchange(echo, raw)
    assert hashlib.sha256(answer.partition(b"\r\n\r\n")[2]).digest() == hashlib.sha256(body).digest()
    assert worker.final[0].bytes_in >= len(body)
    assert worker.final[0].bytes_out >= len(body)


def test_head_request_and_204_and_304_have_no_body() -> None:
    for status, method in ((b"200 OK", b"HEAD"), (b"304 Not Modified", b"GET"), (b"204 No Content", b"GET")):
        length = b"" if status.startswith(b"204") else b"Content-Length: 10\r\n"
        answer, _ = exchange(scripted(b"HTTP/1.1 " + status + b"\r\n" + length + b"\r\n"), GET.replace(b"GET", method))
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.endswith(b"\r\n\r\n")
        assert (b"Content-Length: 10" in answer) == bool(length)


def test_expect_100_continue_reaches_the_server_and_its_100_the_client() -> None:
    def careful(connection: socket.socket) -> None:
        head, _ = read_head(connection)
        assert b"Expect: 100-continue" in head
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_exactly(connection, 5)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)

    backend = TcpServer(careful)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        head, rest = read_head(client)
        assert head == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        head, rest = read_head(client, rest)
        assert read_exactly(client, 5, rest) == b"hello"
    backend.close()


def test_103_goes_on_before_the_final_response() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    answer, _ = exchange(scripted(early), GET)
    assert answer.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 200 OK")


def test_upgrade_becomes_a_tunnel_with_half_close() -> None:
    def upgrade(connection: socket.socket) -> None:
        head, rest = read_head(connection)
        assert b"Upgrade: websocket" in head
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi")
        while data := rest or connection.recv(100):
            rest = b""
            connection.sendall(data.upper())

    raw = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc"
    backend = TcpServer(upgrade)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(raw)
        head, rest = read_head(client)
        assert head.startswith(b"HTTP/1.1 101")
        assert read_exactly(client, 5, rest) == b"hiABC"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""
    backend.close()


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        (b"garbage\r\n\r\n", b"502", FailureKind.RESPONSE_BROKEN),
        (b"", b"502", FailureKind.UPSTREAM_CLOSED),
        (b"HTTP/1.1 200 OK\r\nContent-Le", b"502", FailureKind.RESPONSE_BROKEN),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", b"502", FailureKind.RESPONSE_BROKEN),
    ],
)
def test_broken_server_is_a_502_that_names_lbapp(answer: bytes, status: bytes, kind: FailureKind) -> None:
    got, worker = exchange(scripted(answer), GET)
    assert got.startswith(b"HTTP/1.1 " + status)
    assert b"lbapp: 502 Bad Gateway: " in got
    assert worker.final[0].failures[kind] == 1


def test_response_cut_short_ends_the_clients_connection_without_a_false_end() -> None:
    answer, worker = exchange(scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), GET)
    assert answer.endswith(b"short")
    assert worker.final[1].outcomes[Outcome.SERVER_CLOSED] == 1
    answer, _ = exchange(scripted(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), GET)
    assert answer.endswith(b"5\r\nhello\r\n")


def test_slow_server_is_a_504() -> None:
    def silent(connection: socket.socket) -> None:
        read_head(connection)
        connection.recv(1)

    answer, worker = exchange(silent, GET, Limits(response_timeout_s=0.3))
    assert answer.startswith(b"HTTP/1.1 504")
    assert worker.final[0].failures[FailureKind.RESPONSE_TIMEOUT] == 1


def test_body_over_the_limit_is_a_413_whether_announced_or_chunked() -> None:
    limits = Limits(request_body_bytes_max=10)
    raw = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"
    assert exchange(answering(), raw, limits)[0].startswith(b"HTTP/1.1 413")
    raw = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n"
    assert exchange(answering(), raw, limits)[0].startswith(b"HTTP/1.1 413")


def test_refused_connect_is_tried_at_once_at_another_server() -> None:
    backend = TcpServer(answering(b"ok"))
    pool = Pool("app", (server("dead", free_port()), server("live", backend.port)))
    with running_worker(WEB, (pool,)) as worker:
        for _ in range(4):
            assert worker.request(GET).endswith(b"ok")
        assert worker.server("app/dead").failures[FailureKind.CONNECT_REFUSED] >= 1
        assert worker.listener().outcomes[Outcome.COMPLETED] == 4
        assert worker.listener().retries >= 1
        assert worker.server("app/dead").in_flight == 0
    backend.close()


def test_all_servers_refusing_is_a_502_and_none_eligible_a_503() -> None:
    pool = Pool("app", (server("a", free_port()), server("b", free_port()), server("c", free_port())))
    with running_worker(WEB, (pool,)) as worker:
        assert worker.request(GET).startswith(b"HTTP/1.1 502")
        for name in "abc":
            worker.set_state(f"app/{name}", at.STATE_HEALTH, HealthState.DOWN)
        answer = worker.request(GET)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"no eligible server in pool app" in answer
        assert worker.listener().outcomes[Outcome.NO_SERVER] == 1


def test_stale_idle_connection_is_replaced_without_the_client_noticing() -> None:
    """The server closes after each answer without saying so: a reused connection fails before its first byte."""

    def fickle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        read_head(connection)  # takes the next request, and goes without an answer

    backend = TcpServer(fickle)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        for _ in range(5):
            assert worker.request(GET).endswith(b"ok")
        assert worker.server("app/a").retries >= 1
        assert worker.listener().outcomes[Outcome.COMPLETED] == 5
    backend.close()


def test_post_is_never_sent_twice() -> None:
    seen: list[bytes] = []

    def fickle(connection: socket.socket) -> None:
        head, _ = read_head(connection)
        seen.append(head)
        if b"GET" in head[:4]:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            head, _ = read_head(connection)
            seen.append(head)

    post = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    backend = TcpServer(fickle)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        assert worker.request(GET).endswith(b"ok")
        assert worker.request(post).startswith(b"HTTP/1.1 502")
        assert sum(head.startswith(b"POST") for head in seen) == 1
    backend.close()


def test_routes_choose_the_pool_and_what_none_takes_is_a_404() -> None:
    one, two = TcpServer(answering(b"one")), TcpServer(answering(b"two"))
    listener = Listener(
        "web",
        (Bind("127.0.0.1", 0),),
        routes=(Route("one", host="a.example"), Route("two", path="/v1/", headers=(("x-k", "v"),))),
    )
    pools = (
        Pool("one", (server("s", one.port, pool="one"),)),
        Pool("two", (server("s", two.port, pool="two"),)),
    )
    with running_worker((listener,), pools) as worker:
        assert worker.request(b"GET / HTTP/1.1\r\nHost: A.example:80\r\nConnection: close\r\n\r\n").endswith(b"one")
        raw = b"GET /v1/x HTTP/1.1\r\nHost: b\r\nX-K: v\r\nConnection: close\r\n\r\n"
        assert worker.request(raw).endswith(b"two")
        assert worker.request(raw.replace(b"X-K: v", b"X-K: w")).startswith(b"HTTP/1.1 404")
        assert worker.listener().outcomes[Outcome.NO_ROUTE] == 1
    one.close()
    two.close()


def test_drained_server_gets_no_new_exchange_and_finishes_the_one_in_flight() -> None:
    is_to_answer = threading.Event()

    def slow(connection: socket.socket) -> None:
        read_head(connection)
        is_to_answer.wait(20)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    one, two = TcpServer(slow), TcpServer(answering(b"two"))
    pool = Pool("app", (server("one", one.port), server("two", two.port)), AlgorithmName.ROUND_ROBIN)
    with running_worker(WEB, (pool,)) as worker:
        clients = []
        while not worker.server("app/one").in_flight:
            client = worker.connect()
            client.sendall(GET)
            clients.append(client)
            deadline = time.monotonic() + 0.2
            while not worker.server("app/one").in_flight and time.monotonic() < deadline:
                time.sleep(0.005)
        worker.set_state("app/one", at.STATE_ADMIN, AdminState.DRAIN)
        answers = [worker.request(GET) for _ in range(6)]
        assert all(answer.endswith(b"two") for answer in answers)
        is_to_answer.set()
        assert any(read_until_closed(client).endswith(b"slow") for client in clients)
        assert worker.server("app/one").in_flight == 0
    one.close()
    two.close()


def read_until_closed(client: socket.socket) -> bytes:
    answer = b""
    with client:
        while data := client.recv(65536):
            answer += data
    return answer


def test_early_answer_ends_the_upload_and_reaches_the_client() -> None:
    def refusing(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")

    backend = TcpServer(refusing)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nsome")
        head, rest = read_head(client)
        assert head.startswith(b"HTTP/1.1 413")
        assert b"Connection: close" in head
        assert read_exactly(client, 3, rest) == b"big"
    backend.close()


@pytest.mark.parametrize("body_bytes", [10, 300_000])
def test_request_behind_a_body_that_came_in_parts_is_answered_too(body_bytes: int) -> None:
    got: list[bytes] = []

    def taking(connection: socket.socket) -> None:
        rest = b""
        for _ in range(2):
            head, rest = read_head(connection, rest)
            if head.startswith(b"POST"):
                body = read_exactly(connection, body_bytes, rest)
                got.append(body[:body_bytes])
                rest = body[body_bytes:]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    backend = TcpServer(taking)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nxxxx" % body_bytes)
        wait_for(lambda: worker.server("app/a").in_flight == 1)
        client.sendall(b"x" * (body_bytes - 4) + b"GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answers = read_until_closed(client)
        assert answers.count(b"HTTP/1.1 200 OK") == 2
        assert got == [b"x" * body_bytes]
    backend.close()
