"""What serves, beside what the file says, in a whole engine: servers that came and went, and files that nobody confirms."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lbapp.model.errors import RequestRefused
from tests.children import child
from tests.engine.worker.harness import read_head
from tests.system.harness import (
    NO_CHECK,
    Engine,
    free_port,
    lbapp,
    pool_toml,
    request,
    running_engine,
    servers,
    wait_for,
    waiting_server,
)
from tests.system.test_reload import connect, listener, reload, served

pytestmark = pytest.mark.system


def app(ports: dict[str, int], *names: str) -> str:
    return pool_toml("app", {name: ports[name] for name in names}, extra=NO_CHECK)


def test_servers_that_came_stay_when_the_file_is_reloaded_as_it_was(tmp_path: Path) -> None:
    port = free_port()
    with servers() as ports:
        text = listener(port) + app(ports, "s1", "s2")
        with running_engine(tmp_path, text) as engine:
            assert lbapp(engine, "add", "app/s3", f"127.0.0.1:{ports['s3']}").returncode == 0
            assert lbapp(engine, "remove", "app/s1").returncode == 0
            done = lbapp(engine, "reload")
            assert (done.returncode, "servers that were added and removed since stay so" in done.stderr) == (0, True)
            assert served(engine) == {"app/s2", "app/s3"}
            generation = engine.status()["engine"]["generation"]
            engine.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "SIGHUP: the file is what serves already" in engine.log.read_text())
            assert engine.status()["engine"]["generation"] == generation
            assert served(engine) == {"app/s2", "app/s3"}
            assert lbapp(engine, "rollback").returncode == 0, "it is taken back one by one"
            assert served(engine) == {"app/s1", "app/s2", "app/s3"}
            assert "app/s3" in lbapp(engine, "diff").stdout, "the other one is not in the file"
        with running_engine(tmp_path, text) as engine:
            assert served(engine) == {"app/s1", "app/s2", "app/s3"}
            assert reload(engine, text + "# another\n")["applied"]
            assert served(engine) == {"app/s1", "app/s2"}


def test_server_with_another_address_is_told_and_saved(tmp_path: Path) -> None:
    port = free_port()
    with servers() as ports, running_engine(tmp_path, listener(port) + app(ports, "s1", "s2")) as engine:
        assert lbapp(engine, "remove", "app/s1").returncode == 0
        address = f"127.0.0.1:{ports['s3']}"
        assert lbapp(engine, "add", "app/s1", address, "--weight", "7").returncode == 0
        told = lbapp(engine, "diff").stdout
        assert f"127.0.0.1:{ports['s1']}" in told
        assert address in told
        assert lbapp(engine, "save").returncode == 0
        saved = (tmp_path / "lbapp.toml").read_text()
        assert f'address = "{address}"\nweight = 7\n' in saved
        assert str(ports["s1"]) not in saved
        assert lbapp(engine, "reload").returncode == 0
        assert lbapp(engine, "diff").stdout == "everything is as in the file\n"
        assert (engine.server("app/s1")["address"], engine.server("app/s1")["weight"]) == (address, 7)


def test_two_who_remove_at_once_leave_somebody(tmp_path: Path) -> None:
    port = free_port()
    with servers() as ports, running_engine(tmp_path, listener(port) + app(ports, "s1", "s2", "s3")) as engine:
        assert lbapp(engine, "maint", "app/s3").returncode == 0

        def remove(name: str) -> str:
            with engine.client() as client:
                try:
                    client.remove_server(f"app/{name}", {})
                except RequestRefused as refused:
                    return refused.code
            return "done"

        with ThreadPoolExecutor() as both:
            came_of_it = sorted(both.map(remove, ("s1", "s2")))
        assert came_of_it == ["done", "leaves_nobody"]
        assert request(port).endswith((b"s1", b"s2"))


def test_what_cannot_be_taken_back_yet_is_taken_back_later(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    with servers() as ports:
        first, second = listener(port) + app(ports, "s1"), listener(other) + app(ports, "s2")
        with running_engine(tmp_path, first) as engine:
            done = reload(engine, second, confirm_s=5)  # long enough to take the port before
            with socket.create_server(("127.0.0.1", port)):
                wait_for(lambda: "configuration_not_reverted" in engine.events())
                assert request(other).endswith(b"s2")
                states = {each["number"]: each["state"] for each in _history(engine)}
                assert states[done["number"]] == "unconfirmed"
            wait_for(lambda: served(engine) == {"app/s1"})
            assert request(port).endswith(b"s1")
            assert engine.events().count("configuration_not_reverted") == 1


def test_engine_that_is_about_to_leave_takes_nothing_back_and_the_next_one_does(tmp_path: Path) -> None:
    port = free_port()
    with waiting_server() as (slow, may_answer):
        ports = {"s1": slow, "s2": slow}
        first, second = listener(port) + app(ports, "s1"), listener(port) + app(ports, "s2")
        with running_engine(tmp_path, first) as engine, connect(port) as asking:
            confirm_by = reload(engine, second, confirm_s=4)["confirm_by"]
            assert confirm_by is not None
            asking.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            wait_for(lambda: engine.server("app/s2")["in_flight"] == 1)
            engine.process.send_signal(signal.SIGTERM)
            wait_for(lambda: engine.status()["engine"]["phase"] == "draining")
            used_s = _cpu_s(engine)
            wait_for(lambda: time.time() > confirm_by + 2)
            assert _cpu_s(engine) - used_s < 0.8, "it does not try again and again"
            assert "configuration_not_reverted" not in engine.events()
            may_answer.set()
            assert read_head(asking)[1] == b"slow"
            assert engine.process.wait(25) == 0
        with running_engine(tmp_path, second) as engine:
            assert served(engine) == {"app/s1"}


def _cpu_s(engine: Engine) -> float:
    fields = Path(f"/proc/{engine.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _history(engine: Engine) -> list[dict[str, object]]:
    with engine.client() as client:
        return [dict(each) for each in client.configurations()]


def test_drain_that_waits_says_that_somebody_took_the_server_away(tmp_path: Path) -> None:
    port = free_port()
    with waiting_server() as (slow, may_answer):
        text = listener(port) + app({"s1": slow, "s2": slow}, "s1", "s2")
        with running_engine(tmp_path, text) as engine, connect(port) as asking:
            asking.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            wait_for(lambda: sum(engine.server(f"app/{name}")["in_flight"] for name in ("s1", "s2")) == 1)
            held = "app/s1" if engine.server("app/s1")["in_flight"] else "app/s2"
            command = [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "drain", held, "--wait"]
            with child(command, stderr=subprocess.PIPE, text=True) as waiting:
                wait_for(lambda: engine.server(held)["admin"] == "drain")
                assert lbapp(engine, "remove", held).returncode == 0
                _, said = waiting.communicate(timeout=25)
            assert waiting.returncode == 1
            assert f"{held} is not there any more" in said
            may_answer.set()
            assert read_head(asking)[1] == b"slow"


def test_file_that_still_has_what_was_taken_back_is_said_at_once_and_after_a_restart_until_it_is_another(
    tmp_path: Path,
) -> None:
    port = free_port()
    with servers() as ports:
        first, second = listener(port) + app(ports, "s1"), listener(port) + app(ports, "s2")
        with running_engine(tmp_path, first) as engine:
            reload(engine, second, confirm_s=0.5)
            wait_for(lambda: served(engine) == {"app/s1"})
            wait_for(lambda: "configuration_reverted" in engine.events())
            assert "WARNING configuration_reverted" in engine.log.read_text()
            said = f"{tmp_path / 'lbapp.toml'} still has configuration 2, which was taken back, and not configuration 3"
            assert said in lbapp(engine, "diff").stdout
            wait_for(lambda: said in lbapp(engine, "status").stdout)
        with running_engine(tmp_path, second) as engine:
            assert served(engine) == {"app/s1"}
            assert "configuration 2, which" in engine.log.read_text()
            assert "still has configuration 2, which was taken back" in lbapp(engine, "diff").stdout
            wait_for(lambda: "still has configuration 2" in lbapp(engine, "status").stdout)
            assert reload(engine, first)["applied"] is False
            assert lbapp(engine, "diff").stdout == "everything is as in the file\n"
            wait_for(lambda: "the file:" not in lbapp(engine, "status").stdout)
