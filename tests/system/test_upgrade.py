"""Another engine on the same sockets: `lbapp upgrade`, and a restart by a service manager that keeps them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbapp.control.client import ControlClient
from lbapp.model.errors import EngineUnreachable, RequestRefused
from tests.children import child
from tests.engine.worker.harness import TcpServer, answering
from tests.system.harness import (
    Engine,
    Load,
    free_port,
    lbapp,
    listener_toml,
    pool_toml,
    request,
    running_engine,
    servers,
    wait_for,
)
from tests.system.service_manager import ServiceManager

pytestmark = pytest.mark.system

CHECK = '[pool.health_check]\ntype = "tcp"\ninterval = "30s"\nfast_interval = "100ms"\nfall = 1\nrise = 1\n'


@contextmanager
def upgradable(folder: Path, toml: str) -> Iterator[Engine]:
    """Run an engine whose successors are ended with it."""
    with running_engine(folder, toml, is_anew=True) as engine:
        try:
            yield engine
        finally:
            pid = engine.status()["engine"]["pid"]
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not Path(f"/proc/{pid}").exists() or engine.process.poll() is not None)
            wait_for(lambda: not _answers(engine))


def _answers(engine: Engine) -> bool:
    try:
        engine.status()
    except EngineUnreachable:
        return False
    return True


def arguments_of(folder: Path, ports: dict[str, int], port: int, more: str = "", check: str = CHECK) -> list[str]:
    """Write a configuration with two workers and a listener at a port; return what Python runs an engine with."""
    toml = f'[engine]\nworkers = 2\nstate_dir = "{folder}"\n' + pool_toml("app", ports, extra=check)
    toml += f'[[listener]]\nname = "web"\nbind = "127.0.0.1:{port}"\npool = "app"\n{more}'
    (folder / "lbapp.toml").write_text(toml)
    return ["-m", "lbapp", "run", "-c", str(folder / "lbapp.toml"), "--socket", str(folder / "c.sock")]


def serves_times(manager: ServiceManager, count: int) -> bool:
    """Say whether so many engines have said that they serve."""
    return sum("READY=1" in each for each in manager.said) == count


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def has_a_worker_without_sockets(control: Path) -> bool:
    """Say whether a worker listens on nothing but what leads to the supervisor."""
    with ControlClient(control) as client:
        pids = [worker["pid"] for worker in client.status()["engine"]["workers"] if worker["phase"] == "serving"]
    assert len(pids) == 2
    return not all(listens(pid) for pid in pids)


def listens(pid: int) -> bool:
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = {f"socket:[{line.split()[9]}]" for line in table if line.split()[3] == "0A"}
    return any(str(fd.readlink()) in listening for fd in Path(f"/proc/{pid}/fd").iterdir())


def test_upgrades_under_load_fail_no_request_and_keep_what_is_known(tmp_path: Path) -> None:
    def echo(connection: socket.socket) -> None:
        while data := connection.recv(100):
            connection.sendall(data)

    raw = TcpServer(echo)
    with servers() as ports:
        gone = {**ports, "s9": free_port()}
        toml = listener_toml("app") + pool_toml("app", gone, extra=CHECK)
        toml += listener_toml("raw", name="raw", protocol="tcp") + pool_toml("raw", {"r": raw.port}, extra=CHECK)
        with upgradable(tmp_path, toml) as engine:
            wait_for(lambda: engine.server("app/s9")["health"] == "down")
            assert lbapp(engine, "drain", "app/s1", "--timeout", "1h").returncode == 0
            assert lbapp(engine, "weight", "app/s2", "7").returncode == 0
            before, port = engine.server("app/s9"), engine.port()
            with engine.client() as client:
                probe_before = client.probes("app", "s9")["probes"][0]
            with socket.create_connection(("127.0.0.1", engine.port("raw")), timeout=20) as tunnel, Load(port) as load:
                pids = [engine.process.pid]
                for _ in range(3):
                    done = lbapp(engine, "upgrade", "--reason", "a better one")
                    assert done.returncode == 0, done.stderr
                    tunnel.sendall(b"still there")
                    assert tunnel.recv(100) == b"still there"
                    pids.append(engine.status()["engine"]["pid"])
                    answered = load.answered
                    wait_for(lambda seen=answered: load.answered > seen + 50)  # type: ignore[misc]
            assert load.failures == []
            assert len(set(pids)) == 4
            assert engine.port() == port
            after = engine.server("app/s9")
            assert (after["health"], after["health_since"]) == ("down", before["health_since"])
            with engine.client() as client:
                probe = client.probes("app", "s9")["probes"][0]
            assert probe["reason"] == probe_before["reason"]
            assert probe["at"] == pytest.approx(probe_before["at"], abs=0.02)
            assert (engine.server("app/s1")["admin"], engine.server("app/s2")["weight"]) == ("drain", 7)
            assert engine.events().count("node_took_over") == 3
            wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids[1:3]))
            assert engine.process.wait(25) == 0
    raw.close()


def shown(control: Path) -> list[tuple[str, list[str]]]:
    """Return what ps shows of an engine and its workers: name and command line of each, but for a worker's descriptor."""
    with ControlClient(control) as client:
        engine = client.status()["engine"]
    found = []
    for pid in (engine["pid"], *(each["pid"] for each in engine["workers"] if each["phase"] == "serving")):
        of = Path(f"/proc/{pid}")
        words = (of / "cmdline").read_text().rstrip("\0").split("\0")
        found.append(((of / "comm").read_text().rstrip(), words if pid == engine["pid"] else words[:-1]))
    return found


@pytest.mark.parametrize("how", ["script", "module"])
def test_engine_and_workers_are_shown_the_same_before_and_behind_an_upgrade(tmp_path: Path, how: str) -> None:
    control, log, command = tmp_path / "c.sock", tmp_path / "log", [sys.executable, "-m", "lbapp"]
    if how == "script":  # as the package has it
        script = tmp_path / "started"
        script.write_text(f"#!{sys.executable} -P\nfrom lbapp.cli.main import main\nmain()\n")
        script.chmod(0o755)
        command = [str(script)]
    with servers() as ports:
        command += arguments_of(tmp_path, ports, free_port())[2:]
        with log.open("wb") as output, child(command, stderr=output) as process:
            wait_for(lambda: "serving:" in log.read_text(), 60)
            before = shown(control)
            assert [name for name, _ in before] == ["lbapp", "lbapp-worker", "lbapp-worker"]
            try:
                assert lbapp(control, "upgrade").returncode == 0
                assert process.wait(30) == 0
                assert shown(control) == before
            finally:
                assert lbapp(control, "stop").returncode == 0


def test_upgrade_changes_the_number_of_workers_which_a_reload_cannot(tmp_path: Path) -> None:
    configuration = tmp_path / "lbapp.toml"
    with servers() as ports, upgradable(tmp_path, listener_toml("app") + pool_toml("app", ports)) as engine:
        text = configuration.read_text()
        with Load(engine.port()) as load:
            for count in (3, 1):
                configuration.write_text(text.replace("workers = 2", f"workers = {count}"))
                assert lbapp(engine, "reload").returncode == 1
                assert lbapp(engine, "upgrade").returncode == 0
                assert len(engine.worker_pids()) == count
                answered = load.answered
                wait_for(lambda seen=answered: load.answered > seen + 50)  # type: ignore[misc]
        assert load.failures == []


def test_upgrade_that_fails_changes_nothing_and_says_why(tmp_path: Path) -> None:
    configuration = tmp_path / "lbapp.toml"
    with (
        servers() as ports,
        running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports), is_anew=True) as engine,
    ):
        sound = configuration.read_text()
        configuration.write_text(sound + "nonsense = 1\n")
        done = lbapp(engine, "upgrade")
        assert done.returncode == 1
        assert "the next engine does not come to serve" in done.stderr
        assert 'unknown key "nonsense"' in done.stderr
        with socket.create_server(("127.0.0.1", 0)) as taken:
            bind = f"127.0.0.1:{taken.getsockname()[1]}"
            configuration.write_text(f'{sound}[[listener]]\nname = "more"\nbind = "{bind}"\npool = "app"\n')
            done = lbapp(engine, "upgrade")
        assert done.returncode == 1
        assert "address already in use" in done.stderr
        assert engine.status()["engine"]["pid"] == engine.process.pid
        assert lbapp(engine, "weight", "app/s1", "3").returncode == 0, "the journal is this engine's again"
        assert request(engine.port()).startswith(b"HTTP/1.1 200")
        assert engine.control.exists()
        assert engine.events().count("upgrade_failed") == 2


def test_thresholds_and_the_last_word_of_an_agent_hold_over_an_upgrade(tmp_path: Path) -> None:
    def says(connection: socket.socket) -> None:
        connection.sendall(b"40% drain\n")

    agent, closing, port = TcpServer(says), TcpServer(answering(b"1")), free_port()
    quick = '[pool.health_check]\ntype = "tcp"\ninterval = "500ms"\nfast_interval = "500ms"\n'
    slow_to_rise, slow_to_fall = quick + "fall = 1\nrise = 100\n", quick + "fall = 100\nrise = 1\n"
    asked = f'[pool.health_check.agent]\nport = {agent.port}\ninterval = "200ms"\n'
    toml = listener_toml("up") + pool_toml("up", {"s": closing.port}, extra=slow_to_fall + asked)
    with upgradable(tmp_path, toml + pool_toml("down", {"s": port}, extra=slow_to_rise)) as engine:
        wait_for(lambda: engine.server("down/s")["health"] == "down")
        wait_for(lambda: engine.server("up/s")["health"] == "up")
        wait_for(lambda: engine.server("up/s")["no_new_clients"])
        closing.close()
        agent.close()
        with socket.create_server(("127.0.0.1", port)):
            streaks = {name: wait_for(lambda name=name: streak_against(engine, name)) for name in ("up/s", "down/s")}  # type: ignore[misc]
            assert lbapp(engine, "upgrade").returncode == 0
            for name, streak in streaks.items():
                wait_for(lambda name=name, streak=streak: streak_against(engine, name) > streak + 2)  # type: ignore[misc]
            assert engine.process.wait(30) == 0
            assert [engine.server(name)["health"] for name in streaks] == ["up", "down"]
            said = engine.server("up/s")["agent"]
            assert said is not None
            assert (said["percent"], said["no_new_clients"]) == (40, "drain")
            kinds = engine.events()
            assert (kinds.count("server_came_up"), kinds.count("server_went_down")) == (1, 1)


def streak_against(engine: Engine, name: str) -> int:
    """Return how many probes in a row have contradicted the health of a server."""
    server = engine.server(name)
    probe = server["probe"]
    return 0 if probe is None or probe["is_success"] is (server["health"] == "up") else probe["streak"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_first_process_of_a_container_is_not_upgraded(tmp_path: Path) -> None:
    with servers() as ports:
        arguments, control, log = arguments_of(tmp_path, ports, free_port()), tmp_path / "c.sock", tmp_path / "log"
        command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, *arguments]
        with log.open("wb") as output, child(command, stderr=output) as container:
            wait_for(lambda: "serving:" in log.read_text())
            done = lbapp(control, "upgrade")
            assert done.returncode == 1
            assert "first process of its container" in done.stderr
            assert lbapp(control, "weight", "app/s1", "3").returncode == 0
            assert lbapp(control, "stop").returncode == 0
            assert container.wait(30) == 0


def test_engine_leaves_also_when_the_one_who_asked_for_the_upgrade_has_gone(tmp_path: Path) -> None:
    with (
        servers() as ports,
        upgradable(tmp_path, listener_toml("app") + pool_toml("app", ports, extra=CHECK)) as engine,
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.connect(str(engine.control))
            asking.sendall(
                b"POST /v1/upgrade HTTP/1.1\r\nHost: lbapp\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )
            wait_for(lambda: "upgrade_began" in engine.events())
        assert engine.process.wait(60) == 0
        assert engine.status()["engine"]["pid"] != engine.process.pid


@contextmanager
def with_code_to_break(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have every Python process that is started from now on run first what stands in a file; while there is none, nothing."""
    code = folder / "code"
    code.mkdir()
    (code / "sitecustomize.py").write_text(
        "from pathlib import Path\n"
        "file = Path(__file__).with_name('broken.py')\n"
        "if file.exists():\n"
        "    exec(file.read_text())\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH", "")])))
    yield code / "broken.py"


IN_A_NEXT_ENGINE = "import os, signal, sys\nif 'LBAPP_HANDOVER_FD' in os.environ:\n"
IN_A_WORKER = "import sys\nif 'lbapp.engine.worker' in sys.orig_argv:\n"
ON_THE_LINE = (
    IN_A_NEXT_ENGINE + "    import lbapp.engine.supervisor.handover as handover\n    say = handover.Line.say\n"
)
BROKEN = {
    "exits": (IN_A_NEXT_ENGINE + "    os._exit(0)", "has gone"),
    "crashes": (IN_A_NEXT_ENGINE + "    os.abort()", "has gone"),
    "says garbage": (
        IN_A_NEXT_ENGINE
        + "    os.write(int(os.environ['LBAPP_HANDOVER_FD']), bytes([0, 0, 0, 2]) + b'[]')\n    signal.pause()",
        "speaks otherwise",
    ),
    "says too much": (
        IN_A_NEXT_ENGINE + "    os.write(int(os.environ['LBAPP_HANDOVER_FD']), b'x' * 100)\n    signal.pause()",
        "speaks otherwise",
    ),
    "has workers that cannot serve": (
        IN_A_WORKER + "    import lbapp.engine.worker.generation as generation\n"
        "    def prepare(*_): raise RuntimeError('broken code')\n"
        "    generation.prepare = prepare",
        "worker 0 ended before it served",
    ),
    "dies when it serves": (
        ON_THE_LINE + "    def broken(line, kind, **what):\n"
        "        line._end.shutdown(0)\n"  # so that nothing can be said to it any more
        "        say(line, kind, **what)\n"
        "        os._exit(1)\n"
        "    def last(line, kind, **what):\n"
        "        (broken if kind == 'serving' else say)(line, kind, **what)\n"
        "    handover.Line.say = last",
        "has gone",
    ),
}


def test_next_engine_whose_code_is_broken_leaves_this_one_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = '[pool.health_check]\ntype = "tcp"\ninterval = "200ms"\nfall = 1\nrise = 1\n'
    with with_code_to_break(tmp_path, monkeypatch) as broken, servers("s1", "s2") as ports:
        last = TcpServer(answering(b"3"))
        toml = listener_toml("app") + pool_toml("app", {**ports, "s3": last.port}, extra=check)
        with running_engine(tmp_path, toml, is_anew=True) as engine:
            with Load(engine.port(), clients=2) as load:
                for number, (code, sentence) in enumerate(BROKEN.values(), 1):
                    broken.write_text(code)
                    with engine.client() as client, pytest.raises(RequestRefused, match=sentence):
                        client.upgrade("")
                    broken.unlink()
                    assert lbapp(engine, "weight", "app/s1", str(number)).returncode == 0
                    assert engine.events().count("upgrade_failed") == number
            assert load.failures == []
            assert engine.status()["engine"]["pid"] == engine.process.pid
            on_disk = next(tmp_path.glob("events-*"))
            wait_for(lambda: on_disk.read_text().count('"upgrade_failed"') == len(BROKEN))
            last.close()
            wait_for(lambda: engine.server("app/s3")["health"] == "down")
            assert lbapp(engine, "upgrade").returncode == 0
            pid = engine.status()["engine"]["pid"]
            assert engine.process.wait(25) == 0
            assert engine.server("app/s1")["weight"] == len(BROKEN)
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not _answers(engine))


def test_next_engine_that_hangs_and_does_not_end_when_told_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = tmp_path / "pid"
    hangs = (
        IN_A_NEXT_ENGINE + "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"    with open({str(noted) + '.new'!r}, 'w') as file: file.write(str(os.getpid()))\n"
        f"    os.rename({str(noted) + '.new'!r}, {str(noted)!r})\n"
        "    while True: signal.pause()"
    )
    with with_code_to_break(tmp_path, monkeypatch) as broken, servers("s1", "s2") as ports:
        # It waits for 2 s from when the next one hangs: that has to start first, however long this takes.
        broken.write_text(
            "import os, sys\nif 'run' in sys.orig_argv and 'LBAPP_HANDOVER_FD' not in os.environ:\n"
            "    import time\n    from pathlib import Path\n    import lbapp.engine.supervisor.handover as handover\n"
            "    hear = handover.Line.hear\n"
            "    def patient(line, kind):\n"
            f"        while not Path({str(noted)!r}).exists(): time.sleep(0.01)\n"
            "        line._timeout_s = 2.0\n"
            "        return hear(line, kind)\n"
            "    handover.Line.hear = patient\n"
        )
        with running_engine(
            tmp_path, listener_toml("app") + pool_toml("app", ports, extra=CHECK), is_anew=True
        ) as engine:
            broken.write_text(hangs)
            with engine.client() as client, pytest.raises(RequestRefused, match="does not answer in time"):
                client.upgrade("")
            broken.unlink()
            wait_for(lambda: not Path(f"/proc/{noted.read_text()}/exe").exists())
            assert lbapp(engine, "weight", "app/s1", "3").returncode == 0
            assert request(engine.port()).startswith(b"HTTP/1.1 200")


def test_engine_that_is_told_to_stop_while_the_next_one_starts_stops_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = tmp_path / "goes_on"
    waits = (
        ON_THE_LINE + "    import time\n    from pathlib import Path\n"
        "    def last(line, kind, **what):\n"
        f"        while kind == 'serving' and not Path({str(goes_on)!r}).exists(): time.sleep(0.01)\n"
        "        say(line, kind, **what)\n"
        "    handover.Line.say = last"
    )
    with (
        with_code_to_break(tmp_path, monkeypatch) as broken,
        servers() as ports,
        running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports, extra=CHECK), is_anew=True) as engine,
    ):
        broken.write_text(waits)
        command = [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "upgrade"]
        with child(command, stderr=subprocess.PIPE, text=True) as asking:
            wait_for(lambda: engine.log.read_text().count("worker_started") >= 4)
            engine.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "SIGTERM: stopping" in engine.log.read_text())
            goes_on.touch()
            assert "told to stop meanwhile" in asking.communicate(timeout=60)[1]
        assert engine.process.wait(30) == 0
        assert not engine.control.exists()


def test_clients_wait_while_a_service_manager_starts_a_killed_engine_again(tmp_path: Path) -> None:
    port, control, waits, faults = free_port(), tmp_path / "c.sock", list[float](), list[str]()
    with servers() as ports:
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    answer = request(port)
                    if not answer.startswith(b"HTTP/1.1 200"):
                        faults.append(answer[:60].decode())
                except OSError as error:
                    faults.append(repr(error))
                waits.append(time.monotonic() - began)

        with ServiceManager(tmp_path, arguments_of(tmp_path, ports, port)) as manager:
            wait_for(lambda: serves_times(manager, 1))
            assert manager.kept == [f"lbapp.0.127.0.0.1%3A{port}", f"lbapp.1.127.0.0.1%3A{port}", "lbapp.control"]
            assert lbapp(control, "weight", "app/s1", "9").returncode == 0
            asking = [threading.Thread(target=ask) for _ in range(4)]
            for thread in asking:
                thread.start()
            for number in range(5):
                manager.kill()
                manager.start()
                wait_for(lambda wanted=number + 2: serves_times(manager, wanted))  # type: ignore[misc]
                with ControlClient(control) as client:
                    (pool,) = client.status()["pools"]
                assert [each["weight"] for each in pool["servers"]] == [9, 100, 100]
            stop.set()
            for thread in asking:
                thread.join(30)
        assert faults == []


def test_socket_that_a_service_manager_lends_is_shared_by_all_workers_before_and_after_crash_and_upgrade(
    tmp_path: Path,
) -> None:
    control = tmp_path / "c.sock"
    with (
        servers() as ports,
        socket.create_server(("127.0.0.1", 0), backlog=500) as lent,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        port = lent.getsockname()[1]
        activated = {"lbapp.socket": lent, "other.socket": other}
        manager = ServiceManager(tmp_path, arguments_of(tmp_path, ports, port), activated)
        with manager:
            wait_for(lambda: serves_times(manager, 1))
            assert manager.kept == ["lbapp.control"], "it has the others anyway"
            with ControlClient(control) as client:
                assert [each["kind"] for each in client.events(limit=100)].count("socket_not_used") == 1
            assert not has_a_worker_without_sockets(control)
            manager.kill()
            with Load(port) as load:
                manager.start()
                wait_for(lambda: serves_times(manager, 2))
                assert not has_a_worker_without_sockets(control)
                done = lbapp(control, "upgrade")
                assert done.returncode == 0, done.stderr
                assert not has_a_worker_without_sockets(control)
                answered = load.answered
                wait_for(lambda: load.answered > answered + 50)
            assert load.failures == []
            manager.kill()
            manager.start()
            wait_for(lambda: serves_times(manager, 4))
            assert request(port).startswith(b"HTTP/1.1 200")
            assert manager.kept == ["lbapp.control"]


def test_unit_is_the_next_engine_after_an_upgrade_and_the_one_before_says_nothing_more(tmp_path: Path) -> None:
    def echo(connection: socket.socket) -> None:
        while data := connection.recv(100):
            connection.sendall(data)

    raw, control, port = TcpServer(echo), tmp_path / "c.sock", free_port()
    # More sockets than a service manager's queue has room for.
    more = pool_toml("raw", {"r": raw.port}) + "".join(
        f'[[listener]]\nname = "raw{number}"\nbind = "127.0.0.1:0"\nprotocol = "tcp"\npool = "raw"\n'
        for number in range(9)
    )
    with servers() as ports, ServiceManager(tmp_path, arguments_of(tmp_path, ports, port, more)) as manager:
        wait_for(lambda: serves_times(manager, 1))
        kept, before = manager.kept, manager.main_pid
        assert len(kept) == 2 * 10 + 1
        with ControlClient(control) as client:
            (bind,) = next(each["bind"] for each in client.status()["listeners"] if each["name"] == "raw0")
        with socket.create_connection(("127.0.0.1", int(bind.rpartition(":")[2])), timeout=20) as tunnel:
            tunnel.sendall(b"there")
            assert tunnel.recv(100) == b"there"
            assert lbapp(control, "upgrade").returncode == 0
            wait_for(lambda: manager.main_pid != before)  # it hears of it in its own time
            wait_for(lambda: serves_times(manager, 2))
            tunnel.sendall(b"still there")
            assert tunnel.recv(100) == b"still there"
            parent = next(
                line.split()[1]
                for line in Path(f"/proc/{manager.main_pid}/status").read_text().splitlines()
                if line.startswith("PPid:")
            )
            assert int(parent) != before, "or a service manager would not hear of its death until the other has left"
        assert manager.processes[0].wait(30) == 0
        assert [what for pid, what in manager.spoken if pid == before][-1] == f"MAINPID={manager.main_pid}"
        assert not any("STOPPING" in each or "FDSTOREREMOVE" in each for each in manager.said)
        assert manager.kept == kept
        manager.kill()
        manager.start()
        wait_for(lambda: serves_times(manager, 3))
        assert manager.kept == kept
        assert request(port).startswith(b"HTTP/1.1 200")
    raw.close()


def test_upgrade_that_fails_leaves_what_a_service_manager_keeps(tmp_path: Path) -> None:
    control, port, configuration = tmp_path / "c.sock", free_port(), tmp_path / "lbapp.toml"
    with servers() as ports, ServiceManager(tmp_path, arguments_of(tmp_path, ports, port)) as manager:
        wait_for(lambda: serves_times(manager, 1))
        kept, main_pid, said = manager.kept, manager.main_pid, len(manager.said)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            text = configuration.read_text().replace(f"127.0.0.1:{port}", "127.0.0.1:0")
            bind = f"127.0.0.1:{taken.getsockname()[1]}"
            configuration.write_text(f'{text}[[listener]]\nname = "more"\nbind = "{bind}"\npool = "app"\n')
            assert lbapp(control, "upgrade").returncode == 1
        assert (manager.kept, manager.main_pid, manager.said[said:]) == (kept, main_pid, [])
        manager.kill()
        configuration.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        manager.start()
        wait_for(lambda: serves_times(manager, 2))
        assert request(port).startswith(b"HTTP/1.1 200")


def test_stop_refuses_new_clients_although_a_service_manager_has_kept_the_sockets(tmp_path: Path) -> None:
    began, may_end = threading.Event(), threading.Event()

    def slow(connection: socket.socket) -> None:
        connection.recv(1000)
        began.set()
        may_end.wait(30)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    server, port, control = TcpServer(slow), free_port(), tmp_path / "c.sock"
    arguments = arguments_of(tmp_path, {"s1": server.port}, port, check='[pool.health_check]\ntype = "none"\n')
    with ServiceManager(tmp_path, arguments) as manager:
        wait_for(lambda: serves_times(manager, 1))
        answers: list[bytes] = []
        asking = threading.Thread(target=lambda: answers.append(request(port)))
        asking.start()
        assert began.wait(25)
        os.kill(manager.main_pid, signal.SIGTERM)
        wait_for(lambda: is_refused(port))
        wait_for(lambda: manager.kept == [])
        with ControlClient(control) as client:
            assert client.status()["engine"]["phase"] == "draining"
        may_end.set()
        asking.join(30)
        assert answers[0].startswith(b"HTTP/1.1 200")
    assert [each for each in manager.said if "STOPPING" in each] == ["STOPPING=1"]
    server.close()


def test_next_engine_goes_on_when_the_one_before_is_killed_while_it_starts(tmp_path: Path) -> None:
    with (
        servers() as ports,
        running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports), is_anew=True) as engine,
    ):
        port = engine.port()
        with child(
            [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "upgrade"], stderr=subprocess.DEVNULL
        ) as asking:
            # Its workers serve, and it is about to say so: their events stand in the log that both write to.
            wait_for(lambda: engine.log.read_text().count("worker_started") >= 3)
            engine.process.kill()
            asking.wait(60)
        wait_for(lambda: _answers(engine))
        wait_for(lambda: engine.status()["engine"]["pid"] != engine.process.pid)
        assert request(port).startswith(b"HTTP/1.1 200")
        pid = engine.status()["engine"]["pid"]
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not _answers(engine))
