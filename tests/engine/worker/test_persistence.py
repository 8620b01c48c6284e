"""Clients come back to the server they had: a real worker, real servers, real connections."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lbapp.engine.memory import FILE_NAME, Memory
from lbapp.engine.policy.cookie import ServerCookie
from lbapp.engine.policy.persistence import Remembered, address_key
from lbapp.engine.scoreboard import layout as at
from lbapp.model.entities import AlgorithmName, Listener, Pool, Protocol
from lbapp.model.limits import Limits
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType, PersistenceVerdict
from lbapp.model.states import AdminState, HealthState
from tests.engine.worker.harness import RunningWorker, TcpServer, answering, read_exactly, running_worker, server

KEY = PersistenceKey("k", b"0123456789abcdef")
COOKIE = Persistence(PersistenceType.COOKIE, keys=(KEY,))
IP = Persistence(PersistenceType.IP)
HEADER = Persistence(PersistenceType.HEADER, header="x-user")
LOOPBACK = b"\x7f\0\0\1"
_COOKIE = re.compile(rb"Set-Cookie: lbapp_server=([^;]+); ([^\r]+)\r\n")
V = PersistenceVerdict


@dataclass
class Scene:
    """A worker with servers s1, s2, s3, each answering with its name."""

    worker: RunningWorker
    pool: Pool
    seen: list[bytes] = field(default_factory=list)

    def get(self, *fields: str) -> bytes:
        lines = "".join(f"{each}\r\n" for each in ("Host: a", "Connection: close", *fields))
        return self.worker.request(f"GET / HTTP/1.1\r\n{lines}\r\n".encode())

    def name(self, *fields: str) -> str:
        answer = self.get(*fields)
        assert b" 200 OK" in answer, answer
        return answer[-2:].decode()

    def verdicts(self) -> dict[str, int]:
        counted = self.worker.pool().verdicts
        return {each.name.lower(): counted[each] for each in V if counted[each]}

    def cookie(self, servers: tuple[str, ...] = ("s1", "s2", "s3")) -> ServerCookie:
        assert self.pool.persistence is not None
        return ServerCookie("app", self.pool.persistence, {f"app/{each}": row for row, each in enumerate(servers)})


@contextmanager
def scene(
    persistence: Persistence | None, folder: Path, *, algorithm: AlgorithmName = AlgorithmName.ROUND_ROBIN
) -> Iterator[Scene]:
    seen: list[bytes] = []
    servers = [TcpServer(answering(name.encode(), seen)) for name in ("s1", "s2", "s3")]
    pool = Pool(
        "app",
        tuple(server(f"s{at}", each.port) for at, each in enumerate(servers, 1)),
        algorithm=algorithm,
        persistence=persistence,
    )
    listeners = (
        Listener("web", (), pool="app"),
        *([Listener("tcp", (), Protocol.TCP, "app")] if persistence in (IP, None) else []),
    )
    try:
        with running_worker(listeners, (pool,), Limits(), str(folder)) as worker:
            yield Scene(worker, pool, seen)
    finally:
        for each in servers:
            each.close()


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 25
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def cookie_of(answer: bytes) -> str:
    found = _COOKIE.search(answer)
    assert found is not None, answer
    return found[1].decode()


# -- cookie ----------------------------------------------------------------------------------------------------------


def test_a_client_is_given_a_cookie_once_and_keeps_its_server(tmp_path: Path) -> None:
    with scene(COOKIE, tmp_path) as at_work:
        first = at_work.get()
        name, value = first[-2:], cookie_of(first)
        assert b"; Path=/; HttpOnly; SameSite=Lax\r\n" in first
        assert b"Cache-Control: private\r\n" in first
        for _ in range(6):
            answer = at_work.get(f"Cookie: lbapp_server={value}")
            assert answer[-2:] == name
            assert b"Set-Cookie" not in answer
            assert b"Cache-Control" not in answer
        assert at_work.verdicts() == {"none": 1, "inserted": 1, "valid": 6}


def test_the_server_sees_every_cookie_but_ours(tmp_path: Path) -> None:
    with scene(COOKIE, tmp_path) as at_work:
        value = cookie_of(at_work.get())
        at_work.get(f"Cookie: a=1; lbapp_server={value}; b=2", "X-After: 1")
        assert b"\r\nCookie: a=1; b=2\r\nX-After: 1\r\n" in at_work.seen[-1]
        assert b"lbapp_server" not in b"".join(at_work.seen)


def test_a_cookie_that_is_not_indirect_goes_on_to_the_server(tmp_path: Path) -> None:
    with scene(replace(COOKIE, indirect=False, nocache=False), tmp_path) as at_work:
        first = at_work.get()
        assert b"Cache-Control" not in first
        at_work.get(f"Cookie: lbapp_server={cookie_of(first)}")
        assert b"Cookie: lbapp_server=" in at_work.seen[-1]


@pytest.mark.parametrize(
    ("make", "verdict"),
    [
        (lambda scene, now: "forged", "invalid"),
        (lambda scene, now: scene.cookie().write(0, now - 3700, now - 3700).decode(), "expired"),
        (lambda scene, now: scene.cookie().write(0, now, now - 9 * 3600).decode(), "too_old"),
        (lambda scene, now: scene.cookie().write(0, now + 90000, now).decode(), "invalid"),
        (lambda scene, now: scene.cookie(("s9",)).write(0, now, now).decode(), "server_gone"),
    ],
    ids=["forged", "expired", "too old", "of the far future", "of a server that is gone"],
)
def test_a_cookie_that_does_not_hold_is_replaced_and_never_an_error(
    tmp_path: Path, make: Callable[[Scene, float], str], verdict: str
) -> None:
    with scene(COOKIE, tmp_path) as at_work:
        answer = at_work.get(f"Cookie: lbapp_server={make(at_work, time.time())}; a=1")
        assert answer.startswith(b"HTTP/1.1 200 ")
        fresh = cookie_of(answer)
        done = "updated" if verdict == "server_gone" else "inserted"
        assert at_work.verdicts() == {verdict: 1, done: 1}
        assert at_work.get(f"Cookie: lbapp_server={fresh}")[-2:] == answer[-2:]


def test_a_valid_cookie_is_issued_anew_when_an_eighth_of_its_ttl_has_passed(tmp_path: Path) -> None:
    with scene(COOKIE, tmp_path) as at_work:
        now = time.time()
        old = at_work.cookie().write(1, now - 600, now - 7 * 3600)
        answer = at_work.get(f"Cookie: lbapp_server={old.decode()}")
        assert answer[-2:] == b"s2"
        reading = at_work.cookie().read(cookie_of(answer).encode(), time.time())
        assert reading.issued_s >= int(now)
        assert reading.first_seen_s == int(now - 7 * 3600)
        assert at_work.verdicts() == {"valid": 1, "updated": 1}


@pytest.mark.parametrize("algorithm", list(AlgorithmName))
def test_a_draining_server_or_one_of_weight_0_keeps_its_clients_and_gets_no_new_ones(
    tmp_path: Path, algorithm: AlgorithmName
) -> None:
    with scene(COOKIE, tmp_path, algorithm=algorithm) as at_work:
        mine = f"Cookie: lbapp_server={at_work.cookie().write(0, time.time(), time.time()).decode()}"
        for cell, value in ((at.STATE_ADMIN, AdminState.DRAIN), (at.STATE_WEIGHT, 0)):
            at_work.worker.set_state("app/s1", cell, value)
            assert {at_work.name() for _ in range(6)} <= {"s2", "s3"}
            assert {at_work.name(mine) for _ in range(6)} == {"s1"}
            at_work.worker.set_state("app/s1", cell, AdminState.READY if cell == at.STATE_ADMIN else 100)


@pytest.mark.parametrize(
    ("cell", "value"), [(at.STATE_ADMIN, AdminState.MAINT), (at.STATE_HEALTH, HealthState.DOWN)], ids=["maint", "down"]
)
def test_a_server_in_maintenance_or_down_loses_its_clients_for_good(tmp_path: Path, cell: int, value: int) -> None:
    with scene(COOKIE, tmp_path) as at_work:
        mine = at_work.cookie().write(0, time.time(), time.time()).decode()
        at_work.worker.set_state("app/s1", cell, value)
        answer = at_work.get(f"Cookie: lbapp_server={mine}")
        assert answer[-2:] != b"s1"
        assert at_work.verdicts() == {"server_down": 1, "updated": 1}
        at_work.worker.set_state("app/s1", cell, 0 if cell == at.STATE_ADMIN else HealthState.UP)
        assert at_work.get(f"Cookie: lbapp_server={cookie_of(answer)}")[-2:] == answer[-2:]


def test_a_server_that_refuses_is_left_for_another_and_the_cookie_names_the_one_that_answered(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    good = TcpServer(answering(b"s2"))
    pool = Pool("app", (server("s1", port), server("s2", good.port)), persistence=COOKIE)
    try:
        with running_worker((Listener("web", (), pool="app"),), (pool,)) as worker:
            at_work = Scene(worker, pool)
            mine = at_work.cookie(("s1", "s2")).write(0, time.time(), time.time()).decode()
            answer = at_work.get(f"Cookie: lbapp_server={mine}")
            assert answer.count(b"Set-Cookie") == 1
            assert at_work.cookie(("s1", "s2")).read(cookie_of(answer).encode(), time.time()).server == 1
    finally:
        good.close()


def test_requests_of_one_connection_are_judged_one_by_one(tmp_path: Path) -> None:
    with scene(COOKIE, tmp_path) as at_work, at_work.worker.connect() as client:
        for index, name in ((0, b"s1"), (2, b"s3"), (1, b"s2")):
            value = at_work.cookie().write(index, time.time(), time.time())
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: lbapp_server=%b\r\n\r\n" % value)
            assert read_exactly(client, 40)[-2:] == name


# -- address and header ----------------------------------------------------------------------------------------------


def test_an_address_keeps_its_server_whatever_the_algorithm_and_over_tcp(tmp_path: Path) -> None:
    with scene(IP, tmp_path) as at_work:
        names = {at_work.name() for _ in range(6)}
        assert len(names) == 1
        with at_work.worker.connect("tcp") as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_exactly(client, 40)[-2:].decode() in names
        assert at_work.verdicts() == {"none": 1, "inserted": 1, "valid": 6}


def test_a_client_stays_where_it_is_remembered_against_the_hash_and_after_a_restart(tmp_path: Path) -> None:
    memory = Memory(tmp_path / FILE_NAME, 1000, 1 << 20)
    memory.close()
    names = set()
    for wanted in ("s1", "s2", "s3"):
        memory = Memory(tmp_path / FILE_NAME, 1000, 1 << 20)
        memory.write({("app", LOOPBACK): Remembered(wanted, int(time.time()) + 3600)}, time.time())
        memory.close()
        with scene(IP, tmp_path) as at_work:
            names.add(at_work.name())
            assert at_work.name() == wanted
    assert names == {"s1", "s2", "s3"}


def test_what_a_worker_remembers_is_in_the_file_and_renewed_there(tmp_path: Path) -> None:
    with scene(IP, tmp_path) as at_work:
        name = at_work.name()
        memory = Memory(tmp_path / FILE_NAME, 1000, 1 << 20)
        until(lambda: memory.get("app", LOOPBACK))
        memory.write({("app", LOOPBACK): Remembered(name, int(time.time()) + 1800)}, time.time())

        def is_renewed() -> bool:
            assert at_work.name() == name  # which it may know, for a moment still, as it was going to write it
            return (memory.get("app", LOOPBACK) or Remembered("", 0)).expires_s > time.time() + 3500

        until(is_renewed)
        memory.close()
        verdicts = at_work.verdicts()
        assert {**verdicts, "valid": 1} == {"none": 1, "inserted": 1, "valid": 1, "updated": 1}


@pytest.mark.parametrize(
    ("remembered", "verdict"),
    [(Remembered("s9", 2**32), "server_gone"), (Remembered("s1", 1), "expired")],
    ids=["server gone", "expired"],
)
def test_what_no_longer_holds_is_chosen_anew(tmp_path: Path, remembered: Remembered, verdict: str) -> None:
    memory = Memory(tmp_path / FILE_NAME, 1000, 1 << 20)
    memory.write({("app", LOOPBACK): remembered}, 0)
    memory.close()
    with scene(IP, tmp_path) as at_work:
        assert at_work.name() == at_work.name()
        done = "updated" if verdict == "server_gone" else "inserted"
        assert at_work.verdicts() == {verdict: 1, done: 1, "valid": 1}


def test_a_remembered_server_that_goes_down_is_left_for_good_and_one_that_drains_is_kept(tmp_path: Path) -> None:
    with scene(IP, tmp_path) as at_work:
        first = at_work.name()
        at_work.worker.set_state(f"app/{first}", at.STATE_ADMIN, AdminState.DRAIN)
        assert at_work.name() == first
        at_work.worker.set_state(f"app/{first}", at.STATE_HEALTH, HealthState.DOWN)
        second = at_work.name()
        assert second != first
        at_work.worker.set_state(f"app/{first}", at.STATE_HEALTH, HealthState.UP)
        at_work.worker.set_state(f"app/{first}", at.STATE_ADMIN, AdminState.READY)
        assert at_work.name() == second


def test_a_header_tells_clients_apart_and_who_sends_none_is_balanced(tmp_path: Path) -> None:
    with scene(HEADER, tmp_path) as at_work:
        users = [f"x-USER: user{number}" for number in range(30)]
        names = {user: at_work.name(user) for user in users}
        assert set(names.values()) == {"s1", "s2", "s3"}
        assert {user: at_work.name(user) for user in users} == names
        assert {at_work.name() for _ in range(3)} == {"s1", "s2", "s3"}
        assert at_work.verdicts() == {"none": 33, "inserted": 30, "valid": 30}


@pytest.mark.parametrize("is_damaged", [False, True], ids=["no folder", "no table"])
def test_without_a_usable_table_the_hash_says_where_a_client_goes(tmp_path: Path, is_damaged: bool) -> None:
    folder = tmp_path / "state"
    if is_damaged:
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(b"not a table" * 1000)
    with scene(IP, folder) as at_work:
        assert len({at_work.name() for _ in range(5)}) == 1
        assert at_work.worker.pool().not_remembered == 5
        assert at_work.verdicts() == {"none": 5}


def test_addresses_of_one_prefix_are_one_client(tmp_path: Path) -> None:
    with scene(replace(IP, ipv4_prefix=8), tmp_path) as at_work:
        at_work.name()
        memory = Memory(tmp_path / FILE_NAME, 1000, 1 << 20)
        until(lambda: memory.get("app", address_key(LOOPBACK, 8, 64)))
        memory.close()


def test_a_pool_without_persistence_counts_no_verdict(tmp_path: Path) -> None:
    with scene(None, tmp_path) as at_work:
        assert {at_work.name("Cookie: lbapp_server=x") for _ in range(3)} == {"s1", "s2", "s3"}
        assert at_work.verdicts() == {}
        assert not (tmp_path / FILE_NAME).exists()
