from __future__ import annotations

import socket
import subprocess
import sys
import threading

import anyio
import pytest

from lbapp.engine.supervisor.lookup import Lookup
from tests.engine.supervisor.support import DEADLINE_S, until

pytestmark = pytest.mark.anyio


async def test_answer_has_every_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry, entry])
    assert await Lookup().ask("db.example") == ((socket.AF_INET, "10.0.0.1"),)


async def test_name_without_an_answer_is_not_asked_about_again_and_delays_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, asked, answer = threading.Event(), list[str](), socket.getaddrinfo

    def hang(name: str, *arguments: object, **options: int) -> object:
        asked.append(name)
        if name.startswith("hanging"):
            gate.wait(DEADLINE_S)
        return answer("127.0.0.1", None, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    lookup = Lookup()
    hanging = [f"hanging-{number}" for number in range(50)]  # more than the event loop has threads
    async with anyio.create_task_group() as tasks:
        for name in hanging:
            tasks.start_soon(lookup.ask, name)
        await until(lambda: len(asked) == 50)
        assert await lookup.ask("localhost")
        tasks.cancel_scope.cancel()
    for name in hanging:
        with pytest.raises(OSError, match="not answered yet"):
            await lookup.ask(name)
    assert sorted(asked) == sorted([*hanging, "localhost"])
    gate.set()
    await until(lambda: not any(thread.name.startswith("resolve") for thread in threading.enumerate()))
    assert await lookup.ask(hanging[0])


def test_process_ends_although_the_resolver_has_not_answered() -> None:
    code = """
import socket, threading, anyio
from lbapp.engine.supervisor.lookup import Lookup
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
async def give_up():
    with anyio.move_on_after(0.01):
        await Lookup().ask("hanging")
anyio.run(give_up)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
