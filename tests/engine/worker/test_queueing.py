"""Pools that take no more than so much: who waits, in which order, for how long, and who takes over."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from lbapp.engine.channel import Drain
from lbapp.engine.scoreboard import layout as at
from lbapp.model.capacity import Capacity, Queue
from lbapp.model.entities import AlgorithmName, Bind, Listener, Pool, Protocol
from lbapp.model.limits import Limits
from lbapp.model.outcomes import Outcome
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType
from lbapp.model.states import AdminState, HealthState
from tests.engine.worker.harness import RunningWorker, TcpServer, answering, read_head, replace, running_worker, server
from tests.system.harness import wait_for

pytestmark = pytest.mark.system

WEB = Listener("web", (Bind("127.0.0.1", 0),), pool="app")
TCP = Listener("web", (Bind("127.0.0.1", 0),), Protocol.TCP, pool="app")
LONG = Queue(timeout_s=60.0)


@dataclass
class Gate:
    """A server that answers each request when it is let through, and knows how many it had at a time."""

    name: bytes = b"s"
    seen: list[bytes] = field(default_factory=list)
    at_once: int = 0
    at_once_max: int = 0
    open: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, connection: socket.socket) -> None:
        rest = b""
        while True:
            head, rest = read_head(connection, rest)
            with self.lock:
                self.seen.append(head.split(b" ")[1])
                self.at_once += 1
                self.at_once_max = max(self.at_once_max, self.at_once)
            if not self.open.acquire(timeout=20):
                return
            with self.lock:
                self.at_once -= 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self.name), self.name))


@contextmanager
def gated(
    names: str = "s",
    capacity: Capacity | None = None,
    each_max: int = 1,
    listener: Listener = WEB,
    state_dir: Path | None = None,
    **keys: object,
) -> Iterator[tuple[RunningWorker, dict[str, Gate]]]:
    """Run a worker with one gated server for each letter."""
    gates = {name: Gate(name.encode()) for name in names}
    with ExitStack() as stack:
        servers = []
        for name, gate in gates.items():
            found = TcpServer(gate.handle)
            stack.callback(found.close)
            stack.callback(gate.open.release, 100)
            servers.append(replace(server(name, found.port), connections_max=each_max))
        pool = Pool("app", tuple(servers), capacity=capacity or Capacity(queue=LONG), **keys)  # type: ignore[arg-type]
        folder = None if state_dir is None else str(state_dir)
        worker = stack.enter_context(running_worker((listener,), (pool,), Limits(stop_timeout_s=1.0), folder))
        yield worker, gates


def ask(worker: RunningWorker, path: str, more: str = "") -> socket.socket:
    client = worker.connect()
    client.sendall(f"GET /{path} HTTP/1.1\r\nHost: a\r\n{more}\r\n".encode())
    return client


def answer(client: socket.socket) -> bytes:
    head, rest = read_head(client)
    return head.split(b" ")[1] + b" " + rest


def test_no_more_are_in_flight_than_the_server_may_have_and_the_first_to_come_is_the_first_to_go() -> None:
    with gated(each_max=2) as (worker, gates), ExitStack() as stack:
        clients = []

        def has_all(count: int) -> bool:
            return worker.server("app/s").in_flight + worker.pool().queued == count

        def has_seen(count: int) -> bool:
            return len(gates["s"].seen) == min(8, count)

        for number in range(8):
            clients.append(stack.enter_context(ask(worker, str(number))))
            wait_for(partial(has_all, number + 1))
        assert (worker.server("app/s").in_flight, worker.pool().queued) == (2, 6)
        for number in range(8):
            wait_for(partial(has_seen, number + 2))
            gates["s"].open.release()
        assert [answer(client)[:3] for client in clients] == [b"200"] * 8
        assert sorted(gates["s"].seen[:2]) == [b"/0", b"/1"]
        assert gates["s"].seen[2:] == [b"/%d" % number for number in range(2, 8)]
        assert gates["s"].at_once_max == 2
        totals = worker.pool()
        assert (totals.queued, totals.queued_total) == (0, 6)
        wait_for(lambda: worker.server("app/s").in_flight == 0)


def test_pool_has_a_limit_of_its_own() -> None:
    with gated("ab", Capacity(3, LONG), each_max=2) as (worker, gates), ExitStack() as stack:
        clients = [stack.enter_context(ask(worker, str(number))) for number in range(6)]
        wait_for(lambda: worker.pool().queued == 3)
        assert sum(worker.server(f"app/{name}").in_flight for name in "ab") == 3
        for gate in gates.values():
            for _ in range(6):
                gate.open.release()
        assert [answer(client)[:3] for client in clients] == [b"200"] * 6
        assert max(gate.at_once_max for gate in gates.values()) <= 2


def test_queue_has_an_end_and_says_so_at_once() -> None:
    with gated(capacity=Capacity(queue=Queue(1, 60.0))) as (worker, gates), ExitStack() as stack:
        first, second = (stack.enter_context(ask(worker, str(number))) for number in range(2))
        wait_for(lambda: worker.pool().queued == 1)
        with ask(worker, "3") as third:
            assert (
                answer(third)
                == b"503 lbapp: 503 Service Unavailable: pool app has no room, and 1 wait for it already\n"
            )
        wait_for(lambda: worker.listener().outcomes[Outcome.QUEUE_FULL] == 1)
        for _ in range(2):
            gates["s"].open.release()
        assert answer(first) == answer(second) == b"200 s"


def test_wait_has_an_end_and_the_connection_goes_on() -> None:
    with gated(capacity=Capacity(queue=Queue(9, 0.3))) as (worker, gates), ExitStack() as stack:
        first = stack.enter_context(ask(worker, "1"))
        wait_for(lambda: worker.server("app/s").in_flight == 1)
        second = stack.enter_context(ask(worker, "2"))
        began = time.monotonic()
        assert answer(second) == b"503 lbapp: 503 Service Unavailable: pool app has had no room for 0.3 s\n"
        assert time.monotonic() - began >= 0.25
        wait_for(lambda: worker.listener().outcomes[Outcome.QUEUE_TIMEOUT] == 1)
        for _ in range(2):
            gates["s"].open.release()
        assert answer(first) == b"200 s"
        second.sendall(b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer(second) == b"200 s"
        assert gates["s"].seen == [b"/1", b"/again"]


def test_who_leaves_while_waiting_is_not_sent_on() -> None:
    with gated() as (worker, gates), ExitStack() as stack:
        first = stack.enter_context(ask(worker, "1"))
        wait_for(lambda: worker.server("app/s").in_flight == 1)
        gone = ask(worker, "gone")
        wait_for(lambda: worker.pool().queued == 1)
        third = stack.enter_context(ask(worker, "3"))
        wait_for(lambda: worker.pool().queued == 2)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        gone.close()
        wait_for(lambda: worker.pool().queued == 1)
        for _ in range(2):
            gates["s"].open.release()
        assert answer(first) == answer(third) == b"200 s"
        assert gates["s"].seen == [b"/1", b"/3"]
        wait_for(lambda: worker.listener().outcomes[Outcome.CLIENT_GONE] == 1)


def test_tcp_connections_wait_too_and_tunnels_count() -> None:
    with gated(listener=TCP) as (worker, gates), ExitStack() as stack:
        first = stack.enter_context(ask(worker, "1"))
        wait_for(lambda: worker.server("app/s").in_flight == 1)
        second = stack.enter_context(ask(worker, "2"))
        wait_for(lambda: worker.pool().queued == 1)
        for _ in range(2):
            gates["s"].open.release()
        assert answer(first) == b"200 s"
        assert gates["s"].seen == [b"/1"]  # the tunnel is open still
        first.close()
        assert answer(second) == b"200 s"


def test_server_that_comes_up_and_one_that_goes_change_what_is_waited_for() -> None:
    with gated("ab") as (worker, gates), ExitStack() as stack:
        worker.set_state("app/b", at.STATE_HEALTH, HealthState.DOWN)
        first = stack.enter_context(ask(worker, "1"))
        wait_for(lambda: worker.server("app/a").in_flight == 1)
        second, third = (stack.enter_context(ask(worker, str(number))) for number in (2, 3))
        wait_for(lambda: worker.pool().queued == 2)
        worker.set_state("app/b", at.STATE_HEALTH, HealthState.UP)
        wait_for(lambda: worker.server("app/b").in_flight == 1)
        wait_for(lambda: worker.pool().queued == 1)
        for name in "ab":
            worker.set_state(f"app/{name}", at.STATE_HEALTH, HealthState.DOWN)
        waiting = [client for client in (second, third) if client.getpeername()]
        gates["b"].open.release()
        gates["a"].open.release()
        answers = sorted(answer(client) for client in (first, *waiting))
        assert answers == [b"200 a", b"200 b", b"503 lbapp: 503 Service Unavailable: no eligible server in pool app\n"]


def test_limit_can_change_while_somebody_waits() -> None:
    with gated() as (worker, gates), ExitStack() as stack:
        clients = [stack.enter_context(ask(worker, str(number))) for number in range(4)]
        wait_for(lambda: worker.pool().queued == 3)
        worker.set_state("app/s", at.STATE_CONNECTIONS_MAX, 3)
        wait_for(lambda: (worker.server("app/s").in_flight, worker.pool().queued) == (3, 1))
        worker.set_state("app/s", at.STATE_CONNECTIONS_MAX, 0)
        wait_for(lambda: (worker.server("app/s").in_flight, worker.pool().queued) == (4, 0))
        for _ in range(4):
            gates["s"].open.release()
        assert [answer(client) for client in clients] == [b"200 s"] * 4


def test_client_waits_for_the_server_it_had_while_others_have_room() -> None:
    persistence = Persistence(PersistenceType.COOKIE, keys=(PersistenceKey("1", b"a secret" * 4),))
    with gated("ab", persistence=persistence) as (worker, gates), ExitStack() as stack:
        first = stack.enter_context(ask(worker, "1"))
        (mine,) = wait_for(lambda: [name for name in "ab" if gates[name].seen])
        (other,) = set("ab") - {mine}
        gates[mine].open.release()
        head, _ = read_head(first)
        cookie = head.partition(b"Set-Cookie: ")[2].partition(b";")[0].decode()
        wait_for(lambda: worker.server(f"app/{mine}").in_flight == 0)
        returning = f"Cookie: {cookie}\r\n"
        busy = stack.enter_context(ask(worker, "busy", returning))
        wait_for(lambda: worker.server(f"app/{mine}").in_flight == 1)
        waiting = stack.enter_context(ask(worker, "waiting", returning))
        wait_for(lambda: worker.pool().queued == 1)
        stranger = stack.enter_context(ask(worker, "stranger"))
        wait_for(lambda: worker.server(f"app/{other}").in_flight == 1)  # passes nobody who wants the same
        gates[other].open.release()
        assert answer(stranger).startswith(b"200")
        for _ in range(2):
            gates[mine].open.release()
        assert answer(busy) == answer(waiting) == b"200 " + mine.encode()
        assert worker.pool().queued == 0


def test_client_waits_no_longer_for_a_server_that_is_gone(tmp_path: Path) -> None:
    persistence = Persistence(PersistenceType.IP)
    with gated("ab", state_dir=tmp_path, persistence=persistence) as (worker, gates), ExitStack() as stack:
        first = stack.enter_context(ask(worker, "1"))
        (mine,) = wait_for(lambda: [name for name in "ab" if gates[name].seen])
        (other,) = set("ab") - {mine}
        second = stack.enter_context(ask(worker, "2"))
        wait_for(lambda: worker.pool().queued == 1)
        worker.set_state(f"app/{mine}", at.STATE_HEALTH, HealthState.DOWN)
        wait_for(lambda: worker.server(f"app/{other}").in_flight == 1)
        for gate in gates.values():
            gate.open.release()
        assert answer(first) == b"200 " + mine.encode()
        assert answer(second) == b"200 " + other.encode()


@pytest.mark.parametrize("algorithm", list(AlgorithmName))
def test_every_algorithm_leaves_out_who_is_full(algorithm: AlgorithmName) -> None:
    with gated("abc", each_max=2, algorithm=algorithm) as (worker, gates), ExitStack() as stack:
        clients = [stack.enter_context(ask(worker, str(number))) for number in range(7)]
        wait_for(lambda: worker.pool().queued == 1)
        wait_for(lambda: [worker.server(f"app/{name}").in_flight for name in "abc"] == [2, 2, 2])
        for gate in gates.values():
            for _ in range(7):
                gate.open.release()
        assert all(answer(client).startswith(b"200") for client in clients)


def test_who_waits_longer_at_another_worker_goes_first_unless_that_worker_hangs() -> None:
    with gated() as (worker, gates), ExitStack() as stack:
        cells, layout = worker.segment.cells, worker.segment.layout
        since, beat = layout.pool(1, 0) + at.POOL_QUEUED_SINCE_NS, layout.worker(1) + at.WORKER_HEARTBEAT_NS
        cells[since], cells[beat] = time.monotonic_ns() - 10**9, time.monotonic_ns() + 10**12  # as if it beat for ever
        client = stack.enter_context(ask(worker, "1"))
        wait_for(lambda: worker.pool().queued == 1)  # though there is room
        assert worker.server("app/s").in_flight == 0
        cells[beat] = time.monotonic_ns() - 10**10
        gates["s"].open.release()
        assert answer(client) == b"200 s"
        cells[since] = 0


def test_worker_that_leaves_ends_the_wait() -> None:
    with gated() as (worker, _), ExitStack() as stack:
        stack.enter_context(ask(worker, "1"))
        wait_for(lambda: worker.server("app/s").in_flight == 1)
        waiting = stack.enter_context(ask(worker, "2"))
        wait_for(lambda: worker.pool().queued == 1)
        worker.send(Drain(0.2))
        assert answer(waiting).startswith(b"503")
        worker.process.join(20)
        assert worker.process.exitcode == 0
        assert worker.pool().queued == 0


def test_exchange_that_waits_takes_no_longer_than_one_may() -> None:
    gate = Gate()
    found = TcpServer(gate.handle)
    pool = Pool("app", (replace(server("s", found.port), connections_max=1),), capacity=Capacity(queue=LONG))
    with running_worker((WEB,), (pool,), Limits(exchange_timeout_s=0.5)) as worker, ExitStack() as stack:
        stack.callback(found.close)
        stack.callback(gate.open.release, 100)
        stack.enter_context(ask(worker, "1"))
        wait_for(lambda: worker.server("app/s").in_flight == 1)
        with ask(worker, "2") as second:
            assert answer(second) == b"504 lbapp: 504 Gateway Timeout: the exchange took longer than one may\n"


# -- backups and pools that take over ------------------------------------------------------------------------------------


@contextmanager
def with_spare(listener: Listener = WEB) -> Iterator[RunningWorker]:
    """Run a worker with servers a and b (a backup) in pool app, and c in the pool that takes over."""
    with ExitStack() as stack:
        ports = {}
        for name in "abc":
            found = TcpServer(answering(name.encode()))
            stack.callback(found.close)
            ports[name] = found.port
        app = Pool(
            "app",
            (server("a", ports["a"]), replace(server("b", ports["b"]), is_backup=True)),
            capacity=Capacity(failover="spare"),
            persistence=Persistence(PersistenceType.IP),
        )
        spare = Pool("spare", (server("c", ports["c"], pool="spare"),))
        yield stack.enter_context(running_worker((listener,), (app, spare)))


@pytest.mark.parametrize("listener", [WEB, TCP], ids=["http", "tcp"])
def test_backup_serves_when_no_other_can_and_another_pool_when_it_cannot_either(listener: Listener) -> None:
    def who(worker: RunningWorker) -> bytes:
        with ask(worker, "") as client:
            return answer(client)

    with with_spare(listener) as worker:
        assert [who(worker) for _ in range(4)] == [b"200 a"] * 4
        worker.set_state("app/a", at.STATE_HEALTH, HealthState.DOWN)
        assert [who(worker) for _ in range(4)] == [b"200 b"] * 4
        worker.set_state("app/b", at.STATE_ADMIN, AdminState.MAINT)
        assert [who(worker) for _ in range(4)] == [b"200 c"] * 4
        wait_for(lambda: worker.server("spare/c").requests == 4)
        worker.set_state("spare/c", at.STATE_HEALTH, HealthState.DOWN)
        with ask(worker, "") as client:
            if listener is WEB:
                assert answer(client) == b"503 lbapp: 503 Service Unavailable: no eligible server in pool spare\n"
            else:
                with pytest.raises(OSError, match=r"the stream ended|reset"):
                    answer(client)
        worker.set_state("app/a", at.STATE_HEALTH, HealthState.UP)
        assert who(worker) == b"200 a"


def test_unpublished_pool_is_taken_over_too() -> None:
    with with_spare() as worker:
        layout = worker.segment.layout
        worker.segment.cells[layout.pool_withheld(worker.rows.pools["app"])] = 1
        worker.segment.cells[layout.pool_version(worker.rows.pools["app"])] += 1
        with ask(worker, "") as client:
            assert answer(client) == b"200 c"
