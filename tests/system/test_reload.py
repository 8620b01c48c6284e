"""Another configuration under load, in a whole engine: nothing fails, what is open goes on, and what is wrong changes nothing."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lbapp.control.changes import ReloadDone, ReloadRequest
from lbapp.model.errors import RequestRefused
from tests.effort import times
from tests.engine.worker.harness import TcpServer, read_exactly, read_head
from tests.system.harness import (
    NO_CHECK,
    Engine,
    Load,
    free_port,
    lbapp,
    request,
    running_engine,
    servers,
    wait_for,
    waiting_server,
)

pytestmark = pytest.mark.system


def pool(ports: dict[str, int], *names: str, of: str = "app", more: str = NO_CHECK, weight: int = 100) -> str:
    found = "".join(
        f'[[pool.server]]\nname = "{name}"\naddress = "127.0.0.1:{ports[name]}"\nweight = {weight}\n' for name in names
    )
    return f'[[pool]]\nname = "{of}"\n{more}{found}'


def listener(port: int, *, name: str = "web", to: str = "app", more: str = "") -> str:
    return f'[[listener]]\nname = "{name}"\nbind = "127.0.0.1:{port}"\npool = "{to}"\n{more}'


def write(engine: Engine, toml: str, *, workers: int = 2) -> None:
    folder = engine.control.parent
    (folder / "lbapp.toml").write_text(f'[engine]\nworkers = {workers}\nstate_dir = "{folder}"\n{toml}')


def reload(engine: Engine, toml: str, **how: object) -> ReloadDone:
    write(engine, toml)
    wanted: ReloadRequest = {**how}  # type: ignore[typeddict-item]
    with engine.client() as client:
        return client.reload(wanted)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


class Kept:
    """A connection that is kept, and asked on again and again."""

    def __init__(self, port: int) -> None:
        self.socket = connect(port)
        self._rest = b""

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self) -> str:
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        head, rest = read_head(self.socket, self._rest)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = read_exactly(self.socket, length, rest)
        self._rest = body[length:]
        return body[:length].decode()


def served(engine: Engine) -> set[str]:
    return {each["id"] for found in engine.status()["pools"] for each in found["servers"]}


def test_a_hundred_reloads_under_load_fail_no_request_and_close_no_connection(tmp_path: Path) -> None:
    draw = random.Random(5)
    port, second, kept_answers, faults = free_port(), free_port(), 0, list[str]()
    with (
        servers("s1", "s2", "s3", "s4") as ports,
        running_engine(tmp_path, listener(port) + pool(ports, "s1")) as engine,
    ):
        stop = threading.Event()

        def ask_on_one_connection() -> None:
            nonlocal kept_answers
            try:
                with Kept(port) as connection:
                    while not stop.is_set():
                        assert connection.ask() in ports
                        kept_answers += 1
            except (OSError, AssertionError) as error:
                faults.append(repr(error))

        keeping = threading.Thread(target=ask_on_one_connection)
        keeping.start()
        with Load(port) as load:
            for number in range(2, 102):
                names = draw.sample(sorted(ports), draw.randint(1, 4))
                algorithm = draw.choice(["round_robin", "least_connections", "ip_hash", "least_response_time"])
                check = draw.choice([NO_CHECK, '[pool.health_check]\ntype = "tcp"\ninterval = "1s"\n'])
                more = f'algorithm = "{algorithm}"\n{check}'
                route = '[[listener.route]]\npath = "/nowhere"\npool = "other"\n' if number % 3 == 0 else ""
                text = listener(port, more=route) + pool(ports, *names, more=more, weight=draw.randint(1, 256))
                text += pool(ports, names[0], of="other") if number % 3 == 0 else ""
                text += listener(second, name="second") if number % 2 == 0 else ""
                done = reload(engine, text)
                assert done["applied"]
                assert served(engine) >= {f"app/{name}" for name in names}
        stop.set()
        keeping.join(20)
        assert load.failures == []
        assert faults == []
        assert load.answered > 300
        assert kept_answers > 300
        assert engine.status()["engine"]["generation"] == 101
        assert len(set(engine.worker_pids())) == 2
        assert "worker_died" not in engine.events()


def test_open_connection_goes_by_the_new_file_from_its_next_request_on(tmp_path: Path) -> None:
    port = free_port()
    with (
        servers("s1", "s2") as ports,
        running_engine(tmp_path, listener(port) + pool(ports, "s1")) as engine,
        Kept(port) as connection,
    ):
        assert connection.ask() == "s1"
        done = reload(engine, listener(port, to="new") + pool(ports, "s2", of="new"))
        assert [(each["what"], each["kind"]) for each in done["changes"]] == [
            ("listener web", "changed"), ("pool new", "added"), ("pool app", "removed"),
        ]  # fmt: skip
        assert connection.ask() == "s2"
        wait_for(lambda: "server_gone" in engine.events())
        assert served(engine) == {"new/s2"}


def test_rules_that_are_gone_do_not_reach_the_next_answer_on_an_open_connection(tmp_path: Path) -> None:
    port, rules = free_port(), '[listener.response_headers]\nset = { x-mark = "old" }\n'

    def ask(connection: socket.socket) -> bytes:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = b""
        while b"s1" not in answer.partition(b"\r\n\r\n")[2]:
            answer += connection.recv(65536)
        return answer

    with (
        servers("s1") as ports,
        running_engine(tmp_path, listener(port, more=rules) + pool(ports, "s1")) as engine,
        connect(port) as connection,
    ):
        assert b"x-mark: old" in ask(connection)
        assert reload(engine, listener(port) + pool(ports, "s1"))["applied"]
        assert b"x-mark" not in ask(connection)


def test_exchange_that_a_reload_finds_under_way_is_of_its_client_to_the_end_and_the_next_by_the_new_file(
    tmp_path: Path,
) -> None:
    port, path = free_port(), tmp_path / "access.log"
    log, believing = f'[access_log]\nto = "file:{path}"\n', '[listener.forwarding]\ntrusted_proxies = ["127.0.0.1"]\n'
    ask = b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    with (
        waiting_server() as (backend, may_answer),
        running_engine(tmp_path, log + listener(port, more=believing) + pool({"s1": backend}, "s1")) as engine,
        connect(port) as connection,
    ):
        connection.sendall(ask)
        wait_for(lambda: engine.server("app/s1")["in_flight"] == 1)
        assert reload(engine, log + listener(port) + pool({"s1": backend}, "s1"))["applied"]
        may_answer.set()
        for _ in range(2):
            read_exactly(connection, 4, read_head(connection)[1])
            connection.sendall(ask)
        wait_for(lambda: path.exists() and path.read_text().count("\n") >= 2)
    clients = [json.loads(line)["client"] for line in path.read_text().splitlines()]
    assert clients[:2] == ["192.0.2.7", "127.0.0.1"]


def test_removed_server_finishes_what_it_has_and_is_cut_off_when_its_time_is_over(tmp_path: Path) -> None:
    port = free_port()

    def echo(connection: socket.socket) -> None:
        while data := connection.recv(100):
            connection.sendall(data)

    two = TcpServer(echo), TcpServer(echo)
    first, second = ({"s1": each.port} for each in two)
    tcp = 'protocol = "tcp"\n'
    drain = '[pool.drain]\ntimeout = "1s"\n' + NO_CHECK
    try:
        text = listener(port, more=tcp) + pool(first, "s1", more=drain)
        with running_engine(tmp_path, text) as engine, connect(port) as tunnel:
            tunnel.sendall(b"one")
            assert tunnel.recv(100) == b"one"
            reload(engine, listener(port, more=tcp, to="new") + pool(second, "s1", of="new", more=drain))
            tunnel.sendall(b"two")
            assert tunnel.recv(100) == b"two", "it goes on after the reload"
            with connect(port) as other:
                other.sendall(b"three")
                assert other.recv(100) == b"three"
                assert two[1].accepted == 1
            assert tunnel.recv(100) == b"", "and ends with the drain's timeout"
            wait_for(lambda: "server_gone" in engine.events())
            assert "drain_timed_out" in engine.events()
    finally:
        for each in two:
            each.close()


def test_removed_listener_lets_its_clients_finish_and_refuses_new_ones(tmp_path: Path) -> None:
    port, second = free_port(), free_port()
    may_answer = threading.Event()

    def slow(connection: socket.socket) -> None:
        read_head(connection)
        may_answer.wait(20)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    server = TcpServer(slow)
    both = listener(port) + listener(second, name="second") + pool({"s1": server.port}, "s1")
    try:
        with running_engine(tmp_path, both) as engine, connect(second) as idle, connect(second) as asking:
            asking.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            wait_for(lambda: engine.server("app/s1")["in_flight"] == 1)
            reload(engine, listener(port) + pool({"s1": server.port}, "s1"))
            with pytest.raises(ConnectionRefusedError):
                connect(second)
            assert idle.recv(100) == b"", "who carries nothing is let go"
            may_answer.set()
            head, body = read_head(asking)
            assert body == b"slow"
            assert b"connection: close" in head.lower()
            assert request(port).endswith(b"slow")
    finally:
        server.close()


def test_what_cannot_be_applied_changes_nothing_and_says_why(tmp_path: Path) -> None:
    port = free_port()
    with (
        servers("s1", "s2") as ports,
        socket.create_server(("127.0.0.1", 0)) as taken,
        running_engine(tmp_path, listener(port) + pool(ports, "s1")) as engine,
    ):
        write(engine, listener(port, to="nobody") + pool(ports, "s1", "s2"))
        done = lbapp(engine, "reload")
        assert done.returncode == 2
        assert 'there is no pool "nobody"' in done.stderr
        assert "nothing was changed" in done.stderr
        write(engine, listener(port) + listener(taken.getsockname()[1], name="second") + pool(ports, "s1", "s2"))
        done = lbapp(engine, "reload")
        assert done.returncode == 1
        assert "address already in use" in done.stderr
        assert "nothing was changed" in done.stderr
        write(engine, listener(port) + pool(ports, "s1", "s2"), workers=1)
        done = lbapp(engine, "reload")
        assert done.returncode == 1
        assert "engine.workers cannot change while the engine runs" in done.stderr
        (tmp_path / "lbapp.toml").write_bytes(b"\xff\x00garbage")
        assert lbapp(engine, "reload").returncode == 2
        assert served(engine) == {"app/s1"}
        assert engine.status()["engine"]["generation"] == 1
        assert request(port).endswith(b"s1")


def test_dry_run_prints_the_plan_in_the_words_of_the_file_and_changes_nothing(tmp_path: Path) -> None:
    port = free_port()
    with servers("s1", "s2") as ports, running_engine(tmp_path, listener(port) + pool(ports, "s1")) as engine:
        check = '[pool.health_check]\ntype = "tcp"\ninterval = "7s"\n'
        write(engine, listener(port) + pool(ports, "s1", "s2", more=check, weight=50))
        done = lbapp(engine, "reload", "--dry-run")
        assert done.returncode == 0
        assert "~ pool app changed" in done.stdout
        assert "health_check.interval: (not set) -> 7s" in done.stdout
        assert "+ server app/s2 added" in done.stdout
        assert "    weight: 100 -> 50" in done.stdout
        assert served(engine) == {"app/s1"}
        assert engine.server("app/s1")["weight"] == 100
        assert lbapp(engine, "reload").returncode == 0
        assert lbapp(engine, "reload").stdout == "nothing to do: that is what serves already\n"


def test_operators_changes_and_health_go_on_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    port = free_port()
    check = '[pool.health_check]\ntype = "tcp"\ninterval = "200ms"\nfall = 1\n'
    with servers("s1", "s2", "s3", "s4") as ports:
        ports["s4"] = free_port()  # nobody is there
        with running_engine(tmp_path, listener(port) + pool(ports, "s1", "s2", "s3", "s4", more=check)) as engine:
            assert lbapp(engine, "drain", "app/s1", "--timeout", "10m").returncode == 0
            assert lbapp(engine, "weight", "app/s2", "7").returncode == 0
            assert lbapp(engine, "weight", "app/s3", "9").returncode == 0
            wait_for(lambda: engine.server("app/s4")["health"] == "down")
            until = engine.server("app/s1")["drain"]
            slow = check.replace("200ms", "60s")
            text = listener(port) + pool(ports, "s4", "s1", "s2", more=slow)
            text += f'[[pool.server]]\nname = "s3"\naddress = "127.0.0.1:{ports["s3"]}"\nweight = 33\n'
            reload(engine, text)
            after = {name: engine.server(f"app/{name}") for name in ports}
            assert after["s4"]["health"] == "down", "what was found is known"
            drain = after["s1"]["drain"]
            assert drain is not None
            assert until is not None
            assert drain["since"] == until["since"]
            assert (after["s2"]["weight"], after["s3"]["weight"]) == (7, 33), "a newer file beats an older change"
            assert "change_overruled" in engine.events()
            assert "app/s3: weight 33 -> 9" in lbapp(engine, "undo").stdout, "which can be taken back, too"
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait(20)
        with running_engine(tmp_path, text) as engine:
            after = {name: engine.server(f"app/{name}") for name in ports}
            assert (after["s1"]["admin"], after["s2"]["weight"], after["s3"]["weight"]) == ("drain", 7, 9)


def test_engine_that_is_about_to_stop_is_not_reloaded_and_still_obeys(tmp_path: Path) -> None:
    port, may_answer = free_port(), threading.Event()

    def slow(connection: socket.socket) -> None:
        read_head(connection)
        may_answer.wait(20)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    server = TcpServer(slow)
    ports = {"s1": server.port, "s2": server.port}
    with running_engine(tmp_path, listener(port) + pool(ports, "s1")) as engine, connect(port) as asking:
        asking.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for(lambda: engine.server("app/s1")["in_flight"] == 1)
        engine.process.send_signal(signal.SIGTERM)
        wait_for(lambda: engine.status()["engine"]["phase"] == "draining")
        with pytest.raises(RequestRefused, match="is about to stop; nothing was changed"):
            reload(engine, listener(port) + pool(ports, "s1", "s2"))
        assert "is about to stop" in lbapp(engine, "upgrade").stderr
        assert lbapp(engine, "weight", "app/s1", "7").returncode == 0
        may_answer.set()
        assert read_head(asking)[1] == b"slow"
        assert engine.process.wait(25) == 0
    server.close()


def test_sighup_reloads_and_says_what_is_wrong(tmp_path: Path) -> None:
    port = free_port()
    with servers("s1", "s2") as ports, running_engine(tmp_path, listener(port) + pool(ports, "s1")) as engine:
        write(engine, listener(port) + pool(ports, "s1", "s2"))
        engine.process.send_signal(signal.SIGHUP)
        wait_for(lambda: served(engine) == {"app/s1", "app/s2"})
        write(engine, "nonsense")
        engine.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reload_refused" in engine.events())
        assert request(port).endswith((b"s1", b"s2"))


def test_configuration_that_nobody_confirms_is_taken_back(tmp_path: Path) -> None:
    port = free_port()
    with servers("s1", "s2") as ports, running_engine(tmp_path, listener(port) + pool(ports, "s1")) as engine:
        first, second = listener(port) + pool(ports, "s1"), listener(port) + pool(ports, "s2")
        done = reload(engine, second, confirm_s=1.5)
        assert done["confirm_by"] is not None
        assert served(engine) == {"app/s2"}
        with pytest.raises(RequestRefused, match="is not confirmed yet"):
            reload(engine, second)
        wait_for(lambda: served(engine) == {"app/s1"})
        wait_for(lambda: "configuration_reverted" in engine.events())
        assert request(port).endswith(b"s1")
        reload(engine, second, confirm_s=600)
        assert lbapp(engine, "confirm").stdout == "configuration 4 stays\n"
        assert lbapp(engine, "confirm").returncode == 1
        states = [(each["number"], each["state"], each["is_serving"]) for each in _history(engine)]
        assert states == [(1, "applied", False), (2, "reverted", False), (3, "applied", False), (4, "applied", True)]
        assert reload(engine, first)["applied"]


def _history(engine: Engine) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(lbapp(engine, "history", "--json").stdout)
    return found


def test_restart_inside_the_window_keeps_it_and_one_behind_it_starts_with_what_was_confirmed(tmp_path: Path) -> None:
    port = free_port()
    with servers("s1", "s2") as ports:
        first, second = listener(port) + pool(ports, "s1"), listener(port) + pool(ports, "s2")
        with running_engine(tmp_path, first) as engine:
            reload(engine, second, confirm_s=10)
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait(20)
        with running_engine(tmp_path, second) as engine:
            assert served(engine) == {"app/s2"}, "the window is not over"
            wait_for(lambda: served(engine) == {"app/s1"})
        with running_engine(tmp_path, second) as engine:
            assert served(engine) == {"app/s1"}, "the file still has what was taken back"
            reload(engine, second, confirm_s=0.5)
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait(20)
            time.sleep(0.6)  # the window passes while nobody runs
        with running_engine(tmp_path, second) as engine:
            assert served(engine) == {"app/s1"}
            assert reload(engine, second)["applied"], "asked for, it is applied"
        with running_engine(tmp_path, second) as engine:
            assert served(engine) == {"app/s2"}


def test_rollback_goes_back_and_holds_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    with servers("s1", "s2", "s3") as ports:
        one, two, three = (listener(port) + pool(ports, name) for name in ("s1", "s2", "s3"))
        with running_engine(tmp_path, one) as engine:
            reload(engine, two)
            reload(engine, three, reason="the third")
            done = lbapp(engine, "rollback")
            assert done.returncode == 0
            assert "lbapp.toml is as it was" in done.stderr
            assert served(engine) == {"app/s2"}
            assert lbapp(engine, "rollback", "1").returncode == 0
            assert served(engine) == {"app/s1"}
            assert lbapp(engine, "rollback", "77").returncode == 1
        with running_engine(tmp_path, three) as engine:
            assert served(engine) == {"app/s1"}
            assert (tmp_path / next(tmp_path.glob("configurations-*"))).stat().st_mode & 0o77 == 0


def _generations(engine: Engine) -> set[int]:
    return {each["generation"] for each in engine.status()["engine"]["workers"]}


def test_worker_that_is_killed_while_files_change_serves_the_latest(tmp_path: Path) -> None:
    port = free_port()
    with servers("s1", "s2", "s3") as ports, running_engine(tmp_path, listener(port) + pool(ports, "s1")) as engine:
        for number in range(times(4, 8)):
            name = ("s2", "s3", "s1")[number % 3]
            for pid in engine.worker_pids()[:1]:
                subprocess.run(["kill", "-9", str(pid)], check=True)
            assert reload(engine, listener(port) + pool(ports, name))["applied"]
            wait_for(lambda: len(engine.worker_pids()) == 2)
            wait_for(lambda: _generations(engine) == {engine.status()["engine"]["generation"]})
            assert {request(port)[-2:].decode() for _ in range(12)} == {name}
