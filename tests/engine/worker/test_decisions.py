"""Why a server was chosen: what a real worker keeps of its decisions, and what it says of one that is not made."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbapp.engine.questions import Answer, ListDecisions, PreviewDecision
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.forwarding import client_key
from lbapp.engine.worker.decisions import Decisions
from lbapp.model.capacity import Capacity, Queue
from lbapp.model.decision import Decision
from lbapp.model.entities import AlgorithmName, Bind, Listener, Pool, Protocol
from lbapp.model.hashing import Hash, KeyKind
from lbapp.model.limits import SWEEP_INTERVAL_S, Limits
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType, PersistenceVerdict
from lbapp.model.states import AdminState, HealthState
from tests.engine.worker.harness import RunningWorker, TcpServer, answering, read_head, running_worker, scripted, server
from tests.system.harness import free_port, wait_for

pytestmark = pytest.mark.system

WEB = Listener("web", (Bind("127.0.0.1", 0),), pool="app")
TCP = Listener("web", (Bind("127.0.0.1", 0),), Protocol.TCP, pool="app")
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%b\r\n"
HOME = client_key(ip_address("127.0.0.1"))
KEY = PersistenceKey("k", b"0123456789abcdef0123456789abcdef")
numbers = count(1)


def asked(worker: RunningWorker, message: Any) -> tuple[Decision, ...]:
    async def ask() -> Answer:
        await worker.channel.send(message)
        with anyio.fail_after(20):
            while True:
                answer, _ = await worker.channel.receive()
                if isinstance(answer, Answer) and answer.number == message.number:
                    return answer

    return anyio.run(ask).decisions


def decisions(worker: RunningWorker, pool: str = "app", client: str = "", limit: int = 64) -> tuple[Decision, ...]:
    return asked(worker, ListDecisions(next(numbers), pool, client, limit))


def previewed(worker: RunningWorker, key: bytes = b"", pool: str = "app") -> tuple[Decision, ...]:
    return asked(worker, PreviewDecision(next(numbers), pool, HOME, key))


@contextmanager
def worker_with(
    names: str = "abc", listener: Listener = WEB, state_dir: Path | None = None, **keys: Any
) -> Iterator[RunningWorker]:
    """Run a worker whose pool has one answering server for each letter."""
    with ExitStack() as stack:
        servers = []
        for name in names:
            found = TcpServer(answering(name.encode()))
            stack.callback(found.close)
            servers.append(server(name, found.port))
        pool = Pool("app", tuple(servers), **keys)
        limits = Limits(stop_timeout_s=1.0)
        folder = None if state_dir is None else str(state_dir)
        yield stack.enter_context(running_worker((listener,), (pool,), limits, folder))


def recorded(
    worker: RunningWorker, is_wanted: Callable[[Decision], bool] = lambda _: True, more: bytes = b""
) -> Decision:
    """Ask for the page until such a decision has been recorded; return it."""

    def find() -> Decision | None:
        worker.request(GET % more)
        return next((each for each in decisions(worker)[::-1] if is_wanted(each)), None)

    found = wait_for(find)
    assert found is not None
    return found


def reasons(decision: Decision) -> dict[str, str]:
    return {each.server: each.reason for each in decision.passed_over}


@pytest.mark.parametrize("name", list(AlgorithmName))
def test_each_algorithm_leaves_records_under_load(name: AlgorithmName) -> None:
    with worker_with(algorithm=name) as worker:
        names = {f"app/{letter}" for letter in "abc"}
        wait_for(lambda: worker.request(GET % b"") and len(decisions(worker)) >= 5)
        for each in decisions(worker):
            assert (each.pool, each.algorithm, each.by) == ("app", name.value, name.value)
            assert (each.client, each.attempt, each.candidates, each.skipped) == ("127.0.0.1", 1, 3, 0)
            assert each.port > 0
            assert {one.server for one in each.considered} == names
            assert each.server == each.considered[0].server or each.note.startswith("at random")
            assert bool(each.key) is name.hashes
        times = [each.at_s for each in decisions(worker)]
        assert times == sorted(times)
        assert decisions(worker, limit=2) == decisions(worker)[-2:]
        assert decisions(worker, client="192.0.2.1") == decisions(worker, pool="other") == ()


def test_few_decisions_are_recorded_however_many_there_are() -> None:
    with worker_with() as worker:
        recorded(worker)
        before = {each.at_s for each in decisions(worker)}
        started = time.monotonic()
        for _ in range(300):
            worker.request(GET % b"")
        sweeps = (time.monotonic() - started) / SWEEP_INTERVAL_S
        assert len({each.at_s for each in decisions(worker)} - before) <= sweeps + 1


def test_who_is_passed_over_has_its_reason() -> None:
    with worker_with("abcdefg") as worker:
        for name, cell, value in (
            ("b", at.STATE_ADMIN, AdminState.DRAIN),
            ("c", at.STATE_ADMIN, AdminState.MAINT),
            ("d", at.STATE_HEALTH, HealthState.DOWN),
            ("e", at.STATE_EJECTED, 1),
            ("f", at.STATE_WEIGHT, 0),
            ("g", at.STATE_NO_NEW_CLIENTS, 1),
        ):
            worker.set_state(f"app/{name}", cell, value)
        found = recorded(worker, lambda each: each.skipped == 6)
        assert [each.server for each in found.considered] == ["app/a"]
        assert reasons(found) == {
            "app/b": "DRAIN",
            "app/c": "MAINT",
            "app/d": "DOWN",
            "app/e": "ejected",
            "app/f": "weight 0",
            "app/g": "asks for no new clients",
        }
        worker.set_state("app/a", at.STATE_HEALTH, HealthState.DOWN)
        none = recorded(worker, lambda each: not each.server)
        assert (none.by, none.considered, none.skipped) == ("", (), 7)


def test_retry_is_recorded_with_whom_it_has_tried() -> None:
    with ExitStack() as stack:
        good = TcpServer(answering(b"b"))
        stack.callback(good.close)
        pool = Pool("app", (server("a", free_port()), server("b", good.port)), AlgorithmName.FIRST)
        worker = stack.enter_context(running_worker((WEB,), (pool,)))
        found = recorded(worker, lambda each: each.attempt == 2)
        assert (found.server, reasons(found)) == ("app/b", {"app/a": "tried already"})


def test_backup_is_not_needed_until_it_is() -> None:
    with ExitStack() as stack:
        ports = []
        for letter in "ab":
            found = TcpServer(answering(letter.encode()))
            stack.callback(found.close)
            ports.append(found.port)
        pool = Pool("app", (server("a", ports[0]), replace(server("b", ports[1]), is_backup=True)))
        worker = stack.enter_context(running_worker((WEB,), (pool,)))
        assert reasons(recorded(worker)) == {"app/b": "backup, not needed"}
        worker.set_state("app/a", at.STATE_HEALTH, HealthState.DOWN)
        assert reasons(recorded(worker, lambda each: each.server == "app/b")) == {"app/a": "DOWN"}


def silent(connection: socket.socket) -> None:
    read_head(connection)
    connection.recv(1)


def test_full_server_says_how_full_and_who_finds_no_room_is_recorded() -> None:
    with ExitStack() as stack:
        held, free = TcpServer(silent), TcpServer(answering(b"b"))
        stack.callback(held.close)
        stack.callback(free.close)
        pool = Pool(
            "app",
            (replace(server("a", held.port), connections_max=1), server("b", free.port)),
            AlgorithmName.FIRST,
            capacity=Capacity(queue=Queue(timeout_s=60.0)),
        )
        worker = stack.enter_context(running_worker((WEB,), (pool,)))
        client = stack.enter_context(worker.connect())
        client.sendall(GET % b"")
        wait_for(lambda: worker.server("app/a").in_flight == 1)
        found = recorded(worker, lambda each: each.server == "app/b")
        assert reasons(found) == {"app/a": "full: 1 in flight of connections_max 1"}
        (preview,) = previewed(worker)
        assert (preview.server, reasons(preview)) == ("app/b", reasons(found))
        worker.set_state("app/b", at.STATE_ADMIN, AdminState.DRAIN)
        waiting = stack.enter_context(worker.connect())
        waiting.sendall(GET % b"")
        wait_for(lambda: worker.pool().queued == 1)
        none = wait_for(lambda: next((each for each in decisions(worker) if not each.server), None))
        assert none is not None
        assert reasons(none)["app/b"] == "DRAIN"
        worker.set_state("app/b", at.STATE_ADMIN, AdminState.READY)
        assert waiting.recv(100).startswith(b"HTTP/1.1 200")

        def has_waited() -> bool:
            worker.set_state("app/b", at.STATE_ADMIN, AdminState.DRAIN)
            with worker.connect() as another:
                another.sendall(GET % b"")
                wait_for(lambda: worker.pool().queued == 1)
                worker.set_state("app/b", at.STATE_ADMIN, AdminState.READY)
                assert another.recv(100).startswith(b"HTTP/1.1 200")
            return any(each.has_waited and each.server == "app/b" for each in decisions(worker))

        wait_for(has_waited)


def test_remembered_client_has_its_server_by_persistence(tmp_path: Path) -> None:
    with worker_with(persistence=Persistence(PersistenceType.IP), state_dir=tmp_path) as worker:
        new = previewed(worker)[0]
        assert (new.verdict, new.by, new.remembered) == (PersistenceVerdict.NONE, "hash", "")
        known = recorded(worker, lambda each: each.by == "persistence")
        assert known.server == known.remembered == new.server
        assert known.verdict is PersistenceVerdict.VALID
        assert (known.considered, known.candidates) == ((), 0)
        later = previewed(worker)[0]
        assert (later.by, later.server, later.verdict) == ("persistence", new.server, PersistenceVerdict.VALID)
        worker.set_state(new.server, at.STATE_HEALTH, HealthState.DOWN)
        (moved,) = previewed(worker)
        assert (moved.verdict, moved.remembered, moved.by) == (PersistenceVerdict.SERVER_DOWN, new.server, "hash")
        assert moved.server != new.server
        assert reasons(moved) == {new.server: "DOWN"}


def test_cookie_names_the_server_and_a_client_without_one_has_the_algorithm() -> None:
    settings = Persistence(PersistenceType.COOKIE)
    with worker_with(persistence=replace(settings, keys=(KEY,))) as worker:
        new = recorded(worker)
        assert (new.by, new.verdict, new.given) == (
            "round_robin",
            PersistenceVerdict.NONE,
            PersistenceVerdict.INSERTED,
        )
        answer = worker.request(GET % b"")
        cookie = answer.partition(b"Set-Cookie: ")[2].partition(b";")[0]
        known = recorded(worker, lambda each: each.by == "persistence", b"Cookie: %b\r\n" % cookie)
        assert known.server == known.remembered != ""
        assert known.verdict is PersistenceVerdict.VALID
        assert previewed(worker)[0].by == "round_robin"


def test_hash_by_a_field_says_so_and_is_previewed_by_its_value() -> None:
    settings = Hash(KeyKind.HEADER, "X-User", 150)
    with worker_with(algorithm=AlgorithmName.HASH, hash=settings) as worker:
        found = recorded(worker, lambda each: each.key == "header X-User", b"X-User: u1\r\n")
        assert "in flight of at most" in found.considered[0].score
        assert previewed(worker, b"u1")[0].server == found.server
        without = recorded(worker, lambda each: each.key.startswith("client address"))
        assert without.key == "client address (no header X-User)"
        assert previewed(worker)[0].server == without.server


def test_preview_is_what_is_then_chosen_and_changes_nothing() -> None:
    for name in AlgorithmName:
        with worker_with(algorithm=name) as worker:
            for _ in range(6):
                (preview,) = previewed(worker)
                assert previewed(worker)[0].server == preview.server
                answer = worker.request(GET % b"")
                assert answer.endswith(preview.server[-1].encode())
                wait_for(lambda: sum(worker.server(f"app/{letter}").in_flight for letter in "abc") == 0)


def test_preview_goes_on_to_the_pool_that_takes_over() -> None:
    with ExitStack() as stack:
        found = TcpServer(answering(b"b"))
        stack.callback(found.close)
        app = Pool("app", (server("a", 1),), capacity=Capacity(failover="spare"))
        spare = Pool("spare", (server("b", found.port, pool="spare"),))
        worker = stack.enter_context(running_worker((WEB,), (app, spare)))
        worker.set_state("app/a", at.STATE_HEALTH, HealthState.DOWN)
        first, second = previewed(worker)
        assert (first.server, reasons(first)) == ("", {"app/a": "DOWN"})
        assert (second.pool, second.server) == ("spare", "spare/b")
        assert previewed(worker, pool="none") == ()


def test_tcp_connections_are_recorded_too() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with ExitStack() as stack:
        only = TcpServer(scripted(answer))
        stack.callback(only.close)
        pool = Pool("app", (server("a", only.port),), AlgorithmName.IP_HASH)
        found = recorded(stack.enter_context(running_worker((TCP,), (pool,))))
        assert (found.by, found.key, found.client) == ("ip_hash", "client address", "127.0.0.1")


class Recording:
    """A pool as `arm` sees it."""

    def __init__(self) -> None:
        self.is_to_be_recorded = False


def test_with_many_pools_each_has_its_turn_and_all_together_no_more_than_a_few() -> None:
    kept, pools = Decisions(), [Recording() for _ in range(100)]
    for sweep in range(1, 14):
        kept.arm(pools)  # type: ignore[arg-type]
        assert sum(pool.is_to_be_recorded for pool in pools) == min(100, 8 * sweep)
    kept.arm([])


def test_what_is_kept_of_all_pools_together_has_a_bound() -> None:
    kept = Decisions()
    for pools in (1, 10, 100, 300):
        kept.forget_others(f"p{number}" for number in range(pools))
        lengths = [ring.maxlen or 0 for ring in kept._rings.values()]
        assert len(lengths) == pools
        assert max(lengths) <= 64
        assert sum(lengths) <= 2_048
