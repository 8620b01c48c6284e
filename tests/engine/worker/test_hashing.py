"""Requests hashed by what they bring, through a real worker, and tables that are built beside the loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import anyio
import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.heads import RequestHead
from lbapp.engine.wire.http1 import parse_request_head
from lbapp.engine.wire.keys import key_finder
from lbapp.engine.worker.off_loop import off_loop
from lbapp.model.entities import AlgorithmName, Bind, Listener, Pool
from lbapp.model.hashing import Hash, KeyKind
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType
from tests.engine.worker.harness import RunningWorker, TcpServer, answering, read_head, running_worker, server

WEB = (Listener("web", (Bind("127.0.0.1", 0),), pool="app"),)


def head(target: str = "/a/b?x=1&user=u1&x=2", fields: str = "") -> RequestHead:
    parsed = parse_request_head(f"GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode(), 4096, 50)
    assert parsed is not None
    return parsed[0]


@pytest.mark.parametrize(
    ("settings", "request_head", "key"),
    [
        (Hash(KeyKind.PATH), head(), b"/a/b"),
        (Hash(KeyKind.QUERY, "user"), head(), b"u1"),
        (Hash(KeyKind.QUERY, "x"), head(), b"1"),
        (Hash(KeyKind.QUERY, "us"), head(), b""),
        (Hash(KeyKind.QUERY, "u.er"), head(), b""),
        (Hash(KeyKind.HEADER, "x-user"), head(fields="X-USER:  me \r\n"), b"me"),
        (Hash(KeyKind.HEADER, "x-user"), head(fields="X-User2: me\r\n"), b""),
        (Hash(KeyKind.COOKIE, "sid"), head(fields='Cookie: a=b; sid="s1"; c=d\r\n'), b"s1"),
        (Hash(KeyKind.COOKIE, "sid"), head(fields="Cookie: xsid=s1\r\n"), b""),
    ],
)
def test_key_is_what_the_request_says(settings: Hash, request_head: RequestHead, key: bytes) -> None:
    find = key_finder(settings)
    assert find is not None
    fields = request_head.fields
    assert find(request_head) == key
    assert request_head.fields == fields


def test_address_is_not_found_in_a_request() -> None:
    assert key_finder(Hash()) is None


@contextmanager
def hashing(settings: Hash, algorithm: AlgorithmName = AlgorithmName.HASH, **keys: object) -> Iterator[RunningWorker]:
    with ExitStack() as stack:
        servers = []
        for name in "abcd":
            found = TcpServer(answering(name.encode()))
            stack.callback(found.close)
            servers.append(server(name, found.port))
        pool = Pool("app", tuple(servers), algorithm, hash=settings, **keys)  # type: ignore[arg-type]
        yield stack.enter_context(running_worker(WEB, (pool,)))


def who(worker: RunningWorker, target: str, fields: str = "") -> bytes:
    with worker.connect() as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode())
        return read_head(client)[1]


@pytest.mark.system
@pytest.mark.parametrize("algorithm", [AlgorithmName.HASH, AlgorithmName.RENDEZVOUS])
def test_one_key_one_server_and_all_keys_all_servers(algorithm: AlgorithmName) -> None:
    with hashing(Hash(KeyKind.PATH), algorithm) as worker:
        first = {path: who(worker, f"/{path}?{path * 7}") for path in range(40)}
        assert {path: who(worker, f"/{path}") for path in first} == first
        assert set(first.values()) == {b"a", b"b", b"c", b"d"}


@pytest.mark.system
def test_request_without_the_key_is_hashed_by_its_clients_address() -> None:
    with hashing(Hash(KeyKind.HEADER, "x-user")) as worker:
        assert len({who(worker, f"/{number}") for number in range(20)}) == 1
        assert len({who(worker, "/", f"X-User: {number}\r\n") for number in range(40)}) == 4


@pytest.mark.system
def test_new_clients_of_a_pool_with_cookies_are_hashed_too() -> None:
    persistence = Persistence(PersistenceType.COOKIE, keys=(PersistenceKey("1", b"a secret" * 4),))
    with hashing(Hash(KeyKind.PATH), persistence=persistence) as worker:
        assert len({who(worker, "/same") for _ in range(20)}) == 1
        assert len({who(worker, f"/{number}") for number in range(40)}) == 4


@pytest.mark.system
def test_reweight_builds_another_table_while_the_one_before_serves() -> None:
    with hashing(Hash(KeyKind.PATH)) as worker:
        before = {path: who(worker, f"/{path}") for path in range(60)}
        worker.set_state("app/a", at.STATE_WEIGHT, 1)

        def after() -> bool:
            return sum(who(worker, f"/{path}") == b"a" for path in before) <= 3

        for _ in range(50):
            if after():
                break
        assert after()
        moved = [path for path, name in before.items() if name != b"a" and who(worker, f"/{path}") != name]
        assert len(moved) < 10


def test_work_is_done_by_a_thread_and_its_result_comes_back_to_the_loop() -> None:
    async def run() -> None:
        done = anyio.Event()
        found: list[tuple[int, int]] = []

        def take(thread: int) -> None:
            found.append((thread, threading.get_ident()))
            done.set()

        off_loop(threading.get_ident, take)
        with anyio.fail_after(10):
            await done.wait()
        ((worked, taken),) = found
        assert worked != taken == threading.get_ident()

    anyio.run(run)
