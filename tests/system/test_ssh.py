"""An engine on another host: over a real sshd, on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.control.ssh import Host, Link
from lbapp.tui.app import LbappConsole
from tests.children import child
from tests.system.harness import (
    NO_CHECK,
    Engine,
    free_port,
    listener_toml,
    pool_toml,
    running_engine,
    servers,
    wait_for,
)
from tests.system.sshd import SshServer, ssh_server
from tests.tui.console import SIZE, screen_text, until, until_shown

pytestmark = [pytest.mark.system, pytest.mark.anyio]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with servers("s1", "s2") as ports:
        toml = listener_toml("app") + pool_toml("app", ports, extra=NO_CHECK)
        with running_engine(tmp_path, toml, workers=1) as running:
            yield running


@pytest.fixture
def sshd(tmp_path: Path, engine: Engine) -> Iterator[SshServer]:
    """Run a server whose users have their engine where it is named in their environment."""
    with ssh_server(tmp_path / "ssh", extra=f"SetEnv LBAPP_SOCKET={engine.control}\n") as server:
        yield server


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the user a session with a folder of its own, which is where anything would be left behind."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def lbapp(sshd: SshServer, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lbapp", *arguments]
    env = sshd.environment() | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)


def is_left_clean(sshd: SshServer, session: Path) -> bool:
    return not sshd.links() and not list(session.iterdir())


def test_verbs_reach_the_engine_of_another_host_and_leave_nothing_behind(
    sshd: SshServer, engine: Engine, session: Path
) -> None:
    for arguments, environment in (
        (["status", "--json", "--host", sshd.url], {}),
        (["--host", f"{sshd.url}{engine.control}", "status", "--json"], {}),
        (["status", "--json"], {"LBAPP_HOST": sshd.url}),
    ):
        done = lbapp(sshd, *arguments, **environment)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["engine"]["pid"] == engine.process.pid
    assert lbapp(sshd, "--host", sshd.url, "drain", "app/s1", "--timeout", "5m").returncode == 0
    assert engine.server("app/s1")["admin"] == "drain"
    wait_for(lambda: is_left_clean(sshd, session))


def test_what_goes_wrong_on_the_way_is_one_sentence(
    sshd: SshServer, engine: Engine, session: Path, tmp_path: Path
) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        done = lbapp(sshd, *arguments)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    closed = f"ssh://127.0.0.1:{free_port()}"
    code, text = said("status", "--host", closed)
    assert code == 3
    assert text.startswith("lbapp: 127.0.0.1 cannot be reached by ssh: connect to host 127.0.0.1 port "), text
    assert "Connection refused. Try: ssh -p" in text
    code, text = said("status", "--host", f"{sshd.url}/nowhere.sock")
    assert code == 3
    assert text.startswith(f"lbapp: no engine answers on {sshd.url}/nowhere.sock"), text
    (sshd.folder / "authorized_keys").unlink()
    code, text = said("status", "--host", sshd.url)
    assert code == 3
    assert "cannot be reached by ssh" in text
    assert "Permission denied" in text
    assert said("status", "--host", "ssh://-oProxyCommand=x")[0] == 2
    assert said("status", "--host", sshd.url, "--socket", str(engine.control))[0] == 2
    for verb in ("stop", "save", "bundle"):
        code, text = said("--host", sshd.url, verb, *([str(tmp_path / "b")] if verb == "bundle" else []))
        assert code == 2
        assert "this works on the engine's own host only" in text
    assert engine.process.poll() is None
    wait_for(lambda: is_left_clean(sshd, session))


def test_host_that_is_asked_for_its_socket_gets_nothing_of_the_environment_here(
    engine: Engine, session: Path, tmp_path: Path
) -> None:
    with ssh_server(tmp_path / "other", extra="SetEnv LBAPP_SOCKET=/${LBAPP_SECRET}\n") as other:
        done = lbapp(other, "status", "--host", other.url, LBAPP_SECRET=str(engine.control)[1:])
        assert done.returncode == 3
        assert "has its control socket where ssh cannot forward it" in done.stderr
        wait_for(lambda: is_left_clean(other, session))


def test_ssh_ends_with_whoever_started_it_even_by_kill_9(sshd: SshServer, session: Path) -> None:
    command = [sys.executable, "-m", "lbapp", "--host", sshd.url, "events", "-f"]
    with child(command, env=sshd.environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # an event has come the whole way
        assert sshd.links()
        assert list(session.iterdir())
        process.kill()
    wait_for(lambda: not sshd.links())


def test_what_ssh_has_to_ask_is_asked_on_the_terminal_before_the_answer(sshd: SshServer) -> None:
    key = str(sshd.folder / "key")
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key], check=True)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "lbapp", "status", "--host", sshd.url],
            {name: value for name, value in sshd.environment().items() if not name.startswith("SSH_")},
        )
    shown = b""

    def shows(text: bytes) -> bool:
        nonlocal shown
        if select.select([terminal], [], [], 0)[0]:
            with contextlib.suppress(OSError):
                shown += os.read(terminal, 4096)
        return text in shown

    wait_for(lambda: shows(b"Enter passphrase"))
    os.write(terminal, b"open sesame\n")
    wait_for(lambda: shows(b"app/s1"))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)


async def test_console_is_stale_while_the_link_is_down_and_finds_back_by_itself(
    sshd: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", sshd.environment()["PATH"])
    with Link(Host.parse(sshd.url)) as link:
        link.open()
        app = LbappConsole(link)
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            assert "at 127.0.0.1" in screen_text(app).splitlines()[0]
            sshd.cut()
            await until(pilot, lambda: not app.feed.is_live)
            await until_shown(pilot, "LIVE")
            sshd.stop()
            await until_shown(pilot, "STALE")
            await until_shown(pilot, "127.0.0.1 cannot be reached by ssh")
            with ssh_server(sshd.folder, sshd.port):
                await until_shown(pilot, "LIVE")
                began = time.monotonic()
        link.close()
        assert time.monotonic() - began < 10
        assert not link.socket.parent.exists()
