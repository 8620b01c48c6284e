"""Who is let in by a real worker, who is not, and what happens to them."""

from __future__ import annotations

import itertools
import re
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path

import psutil
import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.totals import AdmissionTotals, admission_totals
from lbapp.model.admission import Admission, Rate, TurnedAway
from lbapp.model.entities import Bind, Listener, Pool, Protocol
from lbapp.model.limits import FAREWELLS_MAX, Limits
from lbapp.model.outcomes import Outcome
from lbapp.model.transport import ListenerTransport
from tests.engine.worker.harness import (
    Handler,
    RunningWorker,
    TcpServer,
    answering,
    read_exactly,
    read_head,
    replace,
    running_worker,
    server,
)

pytestmark = pytest.mark.system
BINDS = (Bind("127.0.0.1", 0),)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns"
WEB = Listener("web", BINDS, pool="app")
RAW = Listener("raw", BINDS, Protocol.TCP, pool="app")


@contextmanager
def serving(
    listener: Listener = WEB, limits: Limits | None = None, handler: Handler | None = None
) -> Iterator[RunningWorker]:
    backend = TcpServer(handler or answering())
    try:
        pool = Pool("app", (server("s1", backend.port),))
        with running_worker((listener,), (pool,), limits) as worker:
            yield worker
    finally:
        backend.close()


def admitting(admission: Admission, listener: Listener = WEB) -> Listener:
    return replace(listener, admission=admission)


def turned_away(worker: RunningWorker) -> AdmissionTotals:
    return admission_totals(worker.segment, 0)


def ask(connection: socket.socket) -> bytes:
    """Ask on a connection that is kept, and return the head of the answer."""
    connection.sendall(GET)
    head, rest = read_head(connection)
    length = re.search(rb"(?i)content-length: (\d+)", head)
    read_exactly(connection, int(length[1]) if length else 0, rest)
    return head


def all_of(connection: socket.socket) -> bytes:
    """Return what comes until the end; a reset is an end too."""
    data = b""
    try:
        while more := connection.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


def until(condition: Callable[[], object], seconds: float = 25.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def held_by(release: threading.Event) -> Iterator[Handler]:
    """Give a handler that answers only once it is released, and then every time."""

    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            _, rest = read_head(connection, rest)
            release.wait(20)
            connection.sendall(ANSWER)

    try:
        yield handle
    finally:
        release.set()


# -- room ----------------------------------------------------------------------------------------------------------------


def test_client_idle_longest_makes_room_for_a_new_one() -> None:
    with serving(limits=Limits(connections_max=3)) as worker, ExitStack() as stack:
        kept = [stack.enter_context(worker.connect()) for _ in range(3)]
        for connection in kept:
            assert b" 200 " in ask(connection)
        assert b" 200 " in ask(kept[0]), "the first is not the one that is idle longest any more"
        assert b" 200 " in ask(stack.enter_context(worker.connect()))
        assert all_of(kept[1]) == b""
        assert b" 200 " in ask(kept[0])
        assert b" 200 " in ask(kept[2])
        assert (sum(turned_away(worker).turned_away), turned_away(worker).recycled) == (0, 1)


def test_beyond_what_is_busy_new_clients_get_503_at_once_and_are_served_when_there_is_room_again() -> None:
    release = threading.Event()
    with held_by(release) as handler, serving(limits=Limits(connections_max=2), handler=handler) as worker:
        with ExitStack() as stack:
            busy = [stack.enter_context(worker.connect()) for _ in range(2)]
            for connection in busy:
                connection.sendall(GET)
            until(lambda: worker.server("app/s1").in_flight == 2)
            answer = worker.request(GET)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1\r\n" in answer
            assert b"\r\nConnection: close\r\n" in answer
            assert b"too many connections" in answer
            assert turned_away(worker).turned_away[TurnedAway.NODE_FULL] == 1
            assert worker.listener().requests == 0, "it was no exchange"
            release.set()
            for connection in busy:
                assert b" 200 " in read_head(connection)[0]
        assert b" 200 " in worker.request(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def test_head_that_is_long_in_coming_makes_room_when_nobody_is_idle() -> None:
    with serving(limits=Limits(connections_max=2, request_head_timeout_s=60.0)) as worker, ExitStack() as stack:
        slow = [stack.enter_context(worker.connect()) for _ in range(2)]
        for connection in slow:
            connection.sendall(GET[:20])
        until(lambda: worker.listener().connections == 2)
        until(lambda: b" 200 " in worker.request(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
        assert turned_away(worker).recycled >= 1
        ended, _, _ = select.select(slow, [], [], 20)
        assert [all_of(connection) for connection in ended] == [b""], "one of them, and no more than had to"


def test_tunnels_are_never_given_up_and_tcp_clients_turned_away_are_closed_at_once() -> None:
    with serving(RAW, Limits(connections_max=2)) as worker, ExitStack() as stack:
        kept = [stack.enter_context(worker.connect("raw")) for _ in range(2)]
        for connection in kept:
            assert b" 200 " in ask(connection)
        assert worker.request(b"", "raw") == b""
        assert admission_totals(worker.segment, 0).turned_away[TurnedAway.NODE_FULL] == 1
        for connection in kept:
            assert b" 200 " in ask(connection)


def test_answers_to_those_turned_away_are_bounded_in_number() -> None:
    release = threading.Event()
    with held_by(release) as handler, serving(limits=Limits(connections_max=1), handler=handler) as worker:
        with ExitStack() as stack:
            busy = stack.enter_context(worker.connect())
            busy.sendall(GET)
            until(lambda: worker.server("app/s1").in_flight == 1)
            crowd = [stack.enter_context(worker.connect()) for _ in range(FAREWELLS_MAX + 40)]
            until(lambda: turned_away(worker).turned_away[TurnedAway.NODE_FULL] == len(crowd))
            release.set()
            assert b" 200 " in read_head(busy)[0]
            answers = [all_of(connection) for connection in crowd]
            assert all(answer == b"" or answer.startswith(b"HTTP/1.1 503 ") for answer in answers)
            assert any(answers)
            descriptors = psutil.Process(worker.pid).num_fds
        until(lambda: descriptors() < FAREWELLS_MAX)


# -- listeners and clients -------------------------------------------------------------------------------------------------


def test_listener_has_a_limit_of_its_own() -> None:
    release = threading.Event()
    listener = admitting(Admission(connections_max=1))
    with held_by(release) as handler, serving(listener, handler=handler) as worker, worker.connect() as busy:
        busy.sendall(GET)
        until(lambda: worker.server("app/s1").in_flight == 1)
        assert worker.request(GET).startswith(b"HTTP/1.1 503 ")
        release.set()
        assert b" 200 " in read_head(busy)[0]
        assert turned_away(worker).turned_away[TurnedAway.LISTENER_FULL] == 1


def test_idle_client_of_the_listener_makes_room_in_it() -> None:
    with serving(admitting(Admission(connections_max=1))) as worker, worker.connect() as idle:
        ask(idle)
        with worker.connect() as second:
            assert b" 200 " in ask(second)
        assert all_of(idle) == b""


def test_one_client_has_no_more_connections_than_one_may_have() -> None:
    with serving(admitting(Admission(client_connections_max=2))) as worker, ExitStack() as stack:
        first, second = (stack.enter_context(worker.connect()) for _ in range(2))
        assert b" 200 " in ask(first)
        assert b" 200 " in ask(second)
        assert worker.request(GET).startswith(b"HTTP/1.1 429 ")
        other = socket.create_connection(("127.0.0.1", worker.ports["web"]), 20, ("127.0.0.9", 0))
        assert b" 200 " in ask(stack.enter_context(other)), "another client"
        first.close()
        until(lambda: worker.listener().connections == 2)
        assert b" 200 " in ask(stack.enter_context(worker.connect()))
        assert turned_away(worker).turned_away[TurnedAway.CLIENT_FULL] == 1


def test_one_client_asks_no_more_often_than_one_may_and_keeps_its_connection() -> None:
    listener = admitting(Admission(client_request_rate=Rate(2, 3600.0)))
    with serving(listener) as worker, worker.connect() as connection:
        assert [ask(connection)[:12] for _ in range(2)] == [b"HTTP/1.1 200"] * 2
        refused = ask(connection)
        assert refused.startswith(b"HTTP/1.1 429 ")
        wait = re.search(rb"\r\nRetry-After: (\d+)\r\n", refused)
        assert wait is not None
        assert 1700 < int(wait[1]) <= 1801
        assert ask(connection).startswith(b"HTTP/1.1 429 "), "the connection goes on"
        other = socket.create_connection(("127.0.0.1", worker.ports["web"]), 20, ("127.0.0.9", 0))
        with other:
            assert b" 200 " in ask(other)
        until(lambda: worker.listener().outcomes[Outcome.RATE_LIMITED] == 2)
        assert turned_away(worker).rate_limited == 2
        until(lambda: worker.server("app/s1").requests == 3)


# -- networks --------------------------------------------------------------------------------------------------------------


def test_http_client_of_a_denied_network_gets_403() -> None:
    with serving(admitting(Admission(deny=(ip_network("127.0.0.0/8"),)))) as worker:
        answer = worker.request(GET)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert turned_away(worker).turned_away[TurnedAway.NETWORK] == 1


def test_tcp_client_of_a_denied_network_is_closed_at_once() -> None:
    with serving(admitting(Admission(deny=(ip_network("127.0.0.1"),)), RAW)) as worker:
        assert worker.request(b"", "raw") == b""
        other = socket.create_connection(("127.0.0.1", worker.ports["raw"]), 20, ("127.0.0.9", 0))
        with other:
            assert b" 200 " in ask(other)


def test_only_allowed_networks_are_let_in_where_there_are_any() -> None:
    with serving(admitting(Admission(allow=(ip_network("127.0.0.9"),)))) as worker:
        assert worker.request(GET).startswith(b"HTTP/1.1 403 ")
        other = socket.create_connection(("127.0.0.1", worker.ports["web"]), 20, ("127.0.0.9", 0))
        with other:
            assert b" 200 " in ask(other)


def test_behind_a_proxy_the_client_is_who_the_header_says() -> None:
    transport = ListenerTransport(proxy_protocol=True, proxy_protocol_from=(ip_network("127.0.0.0/8"),))
    admission = Admission(client_connections_max=1, deny=(ip_network("192.0.2.9"),))
    with serving(admitting(admission, replace(WEB, transport=transport))) as worker, worker.connect() as first:
        first.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n")
        assert b" 200 " in ask(first)
        assert worker.request(b"PROXY TCP4 192.0.2.1 192.0.2.2 1001 80\r\n" + GET).startswith(b"HTTP/1.1 429 ")
        assert worker.request(b"PROXY TCP4 192.0.2.9 192.0.2.2 1001 80\r\n" + GET).startswith(b"HTTP/1.1 403 ")
        with worker.connect() as second:
            second.sendall(b"PROXY TCP4 192.0.2.3 192.0.2.2 1001 80\r\n")
            assert b" 200 " in ask(second)
        found = turned_away(worker).turned_away
        assert (found[TurnedAway.CLIENT_FULL], found[TurnedAway.NETWORK]) == (1, 1)


# -- sizes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 2])
def test_target_beyond_its_limit_is_414_and_up_to_it_is_served(pieces: int) -> None:
    with serving(limits=Limits(uri_bytes_max=1000)) as worker:
        for length, status in ((999, b"200"), (1000, b"414")):
            head = b"GET /" + b"a" * length + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            with worker.connect() as connection:
                half = len(head) // pieces
                connection.sendall(head[:half])
                if pieces > 1:
                    until(lambda: worker.listener().connections == 1)
                    connection.sendall(head[half:])
                assert all_of(connection)[9:12] == status
        until(lambda: worker.listener().connections == 0)


def test_target_without_end_is_414_not_431() -> None:
    with serving() as worker:
        assert worker.request(b"GET /" + b"a" * 20_000).startswith(b"HTTP/1.1 414 ")
        assert worker.request(b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000).startswith(b"HTTP/1.1 431 ")


# -- descriptors -----------------------------------------------------------------------------------------------------------


def limit_descriptors(worker: RunningWorker, spare: int) -> None:
    """Let the worker open `spare` more files: the limit is on the number that a new one gets, the lowest that is free."""
    pid = worker.pid
    used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    limit = next(number for number in itertools.count() if len(set(range(number + 1)) - used) > spare)
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))


def test_without_descriptors_accepting_pauses_what_is_open_goes_on_and_everybody_is_served_later() -> None:
    release = threading.Event()
    with held_by(release) as handler, serving(handler=handler) as worker, ExitStack() as stack:
        busy = stack.enter_context(worker.connect())
        busy.sendall(GET)
        until(lambda: worker.server("app/s1").in_flight == 1)
        limit_descriptors(worker, 2)
        crowd = [stack.enter_context(worker.connect()) for _ in range(8)]
        for connection in crowd:
            connection.sendall(GET[:10])  # none of them can be spared yet
        shortages = worker.segment.layout.worker(0) + at.WORKER_SHORTAGES
        until(lambda: worker.segment.cells[shortages] > 0)
        process = psutil.Process(worker.pid)
        before, began = sum(process.cpu_times()[:2]), time.monotonic()
        # It has tried again; after a second it may spare the crowd, and never have to again.
        until(lambda: worker.segment.cells[shortages] > 1)
        assert sum(process.cpu_times()[:2]) - before < 0.5 * (time.monotonic() - began) + 0.05, "it spins"
        release.set()
        assert b" 200 " in read_head(busy)[0], "what was under way went on"
        resource.prlimit(
            process.pid, resource.RLIMIT_NOFILE, (1024, resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[1])
        )
        until(lambda: worker.listener().connections >= 2)
        assert b" 200 " in ask(stack.enter_context(worker.connect()))


def test_client_that_carries_nothing_gives_its_descriptor_to_a_new_one() -> None:
    with serving() as worker, ExitStack() as stack:
        idle = [stack.enter_context(worker.connect()) for _ in range(4)]
        for connection in idle:
            assert b" 200 " in ask(connection)
        limit_descriptors(worker, 0)
        assert b" 200 " in ask(stack.enter_context(worker.connect()))
        assert all_of(idle[0]) == b""
        assert turned_away(worker).recycled >= 1


def test_without_a_descriptor_for_the_server_the_client_gets_503_and_the_server_no_blame() -> None:
    release = threading.Event()
    with held_by(release) as handler, serving(handler=handler) as worker, ExitStack() as stack:
        first, second = (stack.enter_context(worker.connect()) for _ in range(2))
        first.sendall(GET)
        until(lambda: worker.server("app/s1").in_flight == 1)
        until(lambda: worker.listener().connections == 2)
        limit_descriptors(worker, 0)
        second.sendall(GET)
        answer, _ = read_head(second)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in answer
        until(lambda: worker.listener().outcomes[Outcome.OVERLOADED] == 1)
        assert not any(worker.server("app/s1").failures)
        release.set()
        assert b" 200 " in read_head(first)[0]


def test_long_body_goes_on_without_a_descriptor_for_a_pipe() -> None:
    body = bytes(range(256)) * 2000

    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            _, rest = read_head(connection, rest)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with serving(handler=handle) as worker, worker.connect() as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 200 " in read_head(connection)[0]
        until(lambda: worker.server("app/s1").requests == 1)
        limit_descriptors(worker, 1)  # the server sent a body after HEAD: a new connection is needed, and no pipe
        connection.sendall(GET)
        _, rest = read_head(connection)
        assert read_exactly(connection, len(body), rest) == body
