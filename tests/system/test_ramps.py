"""Weights that change over time, in a whole engine under load: followed by traffic, aborted by failures, outliving the engine."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.engine.worker.harness import Handler, TcpServer, answering, read_head
from tests.system.harness import Load, lbapp, listener_toml, pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system

NO_CHECK = '[pool.health_check]\ntype = "none"\n'


@contextmanager
def three(handler: Handler) -> Iterator[str]:
    """Run three servers, the first with this handler; return the configuration."""
    servers = {"s1": TcpServer(handler), "s2": TcpServer(answering(b"s2")), "s3": TcpServer(answering(b"s3"))}
    ports = {name: server.port for name, server in servers.items()}
    try:
        yield listener_toml("app") + pool_toml("app", ports, algorithm="weighted_round_robin", extra=NO_CHECK)
    finally:
        for server in servers.values():
            server.close()


def test_weight_goes_down_little_by_little_and_traffic_with_it(tmp_path: Path) -> None:
    with three(answering(b"s1")) as toml, running_engine(tmp_path, toml) as engine, Load(engine.port()) as load:
        wait_for(lambda: load.answers.get("s1", 0) > 20)
        done = lbapp(engine, "weight", "app/s1", "0", "--over", "3s", "--force")
        assert done.returncode == 0
        assert "weight 100 -> 0 over 3s" in done.stdout
        seen = set[int]()

        def is_over() -> bool:
            server = engine.server("app/s1")
            seen.add(server["weight"])
            return server["ramp"] is None

        wait_for(is_over)
        assert engine.server("app/s1")["weight"] == 0
        assert len(seen) >= 6, "in steps"
        before = load.answers["s1"]
        answered = load.answered
        wait_for(lambda: load.answered > answered + 100)
        assert load.answers["s1"] <= before + 4, "those under way when it came to 0"
        assert load.failures == []
        assert [kind for kind in engine.events() if "ramp" in kind or "weight" in kind] == ["ramp_began", "ramp_ended"]


def test_ramp_is_taken_back_when_too_many_requests_fail(tmp_path: Path) -> None:
    def failing(connection: socket.socket) -> None:
        rest = b""
        while True:
            _, rest = read_head(connection, rest)
            connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno")

    with three(failing) as toml, running_engine(tmp_path, toml) as engine:
        assert lbapp(engine, "weight", "app/s1", "0", "--force").returncode == 0
        with Load(engine.port()):
            assert lbapp(engine, "weight", "app/s1", "100", "--over", "1h").returncode == 0
            done = lbapp(engine, "weight", "app/s1", "0")
            assert "no longer on its way to weight 100" in done.stdout, "another weight ends a ramp"
            assert engine.server("app/s1")["ramp"] is None
            assert lbapp(engine, "weight", "app/s1", "100", "--over", "10s", "--abort-if-errors", "5%").returncode == 0
            wait_for(lambda: "ramp_aborted" in engine.events(), 30)
            wait_for(lambda: engine.server("app/s1")["weight"] == 0)
        assert lbapp(engine, "weight", "app/s1", "5", "--abort-if-errors", "2%").returncode == 1
        assert lbapp(engine, "weight", "app/s1", "5", "--over", "1m", "--abort-if-errors", "lots").returncode == 2


def test_ramp_to_a_server_that_refuses_is_taken_back_and_said_to_who_waits(tmp_path: Path) -> None:
    with socket.socket() as closed, three(answering(b"s1")) as toml:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        port = closed.getsockname()[1]
        toml += f'[[pool.server]]\nname = "dead"\naddress = "127.0.0.1:{port}"\nweight = 0\n'
        with running_engine(tmp_path, toml) as engine, Load(engine.port()) as load:
            wait_for(lambda: load.answered > 50)
            done = lbapp(engine, "weight", "app/dead", "100", "--over", "20s", "--abort-if-errors", "5%", "--wait")
            assert done.returncode == 1
            assert "app/dead gets weight 0 again: " in done.stderr
            assert "% of the attempts failed of late, 5 % are allowed" in done.stderr
            assert engine.server("app/dead")["weight"] == 0
            assert load.failures == [], "others served whom it refused"
            changes = lbapp(engine, "changes").stdout
            assert "undone" in changes, "the abort has taken the action back"
            assert lbapp(engine, "undo").returncode == 1, "nothing is left to undo"


def test_ramp_goes_on_after_a_kill_as_one_action_and_is_undone_as_one(tmp_path: Path) -> None:
    with three(answering(b"s1")) as toml:
        with running_engine(tmp_path, toml) as engine:
            assert lbapp(engine, "weight", "app/*", "50", "--over", "1h").returncode == 0
            assert lbapp(engine, "weight", "app/s3", "0", "--over", "1s", "--force", "--wait").returncode == 0
            assert lbapp(engine, "weight", "app/s3", "100", "--over", "1h").returncode == 0, "as the file says"
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait(20)
        with running_engine(tmp_path, toml) as engine:
            ramp = engine.server("app/s1")["ramp"]
            assert ramp is not None
            assert (ramp["before"], ramp["after"]) == (100, 50)
            assert 3590 < ramp["until"] - ramp["since"] < 3610
            ramp = engine.server("app/s3")["ramp"]
            assert ramp is not None
            assert (ramp["before"], ramp["after"]) == (0, 100)
            assert engine.server("app/s3")["weight"] < 10
            for _ in range(3):
                assert lbapp(engine, "undo").returncode == 0
            found = [(each["weight"], each["ramp"]) for each in engine.status()["pools"][0]["servers"]]
            assert [weight for weight, _ in found[:2]] == [100, 100]


def test_undo_of_what_ended_a_ramp_has_the_weight_go_on_and_does_not_jump(tmp_path: Path) -> None:
    with three(answering(b"s1")) as toml, running_engine(tmp_path, toml) as engine:
        assert lbapp(engine, "weight", "app/s1", "0", "--over", "1h", "--abort-if-errors", "9%").returncode == 0
        assert lbapp(engine, "weight", "app/s1", "100", "--reason", "stop that").returncode == 0
        assert lbapp(engine, "undo").returncode == 0
        server = engine.server("app/s1")
        assert server["weight"] >= 99
        assert server["ramp"] is not None
        assert (server["ramp"]["after"], server["ramp"]["abort_percent"]) == (0, 9.0)
        assert server["ramp"]["until"] - server["ramp"]["since"] == pytest.approx(3600, abs=60)
        told = lbapp(engine, "events").stdout
        assert "its way to 0 was ended: stop that" in told


def test_drain_that_leaves_too_little_for_the_peak_is_refused_with_the_figure(tmp_path: Path) -> None:
    def hold(connection: socket.socket) -> None:
        while connection.recv(100):
            pass

    servers = {f"s{number}": TcpServer(hold) for number in (1, 2, 3)}
    ports = {name: server.port for name, server in servers.items()}
    toml = listener_toml("app", protocol="tcp") + pool_toml("app", ports, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        with ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(socket.create_connection(("127.0.0.1", engine.port()), timeout=20))
            wait_for(lambda: "30 were in flight" in lbapp(engine, "drain", "app/s1", "app/s2", "--dry-run").stdout, 60)
        wait_for(lambda: sum(each["in_flight"] for each in engine.status()["pools"][0]["servers"]) == 0)
        done = lbapp(engine, "drain", "app/s1", "app/s2")
        assert done.returncode == 1
        told = r"30 were in flight at \d\d:\d\d, the peak of the last hour; of the 1 server left app/s3 would get 30 and has"
        assert re.search(told, done.stderr)
        assert lbapp(engine, "drain", "app/s1").returncode == 0, "two of three can carry it"
        assert lbapp(engine, "drain", "app/s2", "--force").returncode == 0
    for server in servers.values():
        server.close()
