from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from starlette.types import Receive, Scope, Send

from lbapp.engine.supervisor import control_socket
from lbapp.engine.supervisor.control_socket import ControlServer, ControlSocket, peer_of
from lbapp.model.errors import StartError


def test_socket_is_for_its_owner_alone_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lbapp" / "control.sock"
    control = ControlSocket.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o027 == 0
    control.close()
    assert not path.exists()


def test_another_engine_on_the_socket_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    first = ControlSocket.open(path)
    try:
        with pytest.raises(StartError, match="another engine answers there") as caught:
            ControlSocket.open(path)
        assert "--socket PATH" in caught.value.hint
        assert path.exists()
    finally:
        first.close()


def test_socket_of_a_dead_engine_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    ControlSocket.open(path).socket.close()
    successor = ControlSocket.open(path)
    successor.close()
    assert not path.exists()


def test_leaving_engine_does_not_remove_the_socket_of_another(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    first = ControlSocket.open(path)
    path.unlink()
    second = ControlSocket.open(path)
    first.close()
    assert path.exists()
    second.close()


@pytest.mark.parametrize("name", ["x" * 200, "file/control.sock"])
def test_path_that_cannot_be_is_one_clear_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot open the control socket"):
        ControlSocket.open(tmp_path / name)


def test_file_in_the_way_of_the_control_socket_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="a file that is no socket is in the way"):
        ControlSocket.open(tmp_path / "file")


async def _read_on(_scope: Scope, receive: Receive, _send: Send) -> None:
    while (await receive())["type"] == "http.request":
        pass


@pytest.mark.anyio
@pytest.mark.parametrize("said", [b"", b"GET /v1/st", b"PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"])
async def test_caller_who_does_not_finish_a_request_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(control_socket, "CONTROL_REQUEST_TIMEOUT_S", 0.1)
    control = ControlSocket.open(tmp_path / "control.sock")
    server = ControlServer(_read_on)

    def ask() -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(control.path))
            client.sendall(said)
            answer = b""
            while part := client.recv(4096):
                answer += part
            return answer

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve_on, control)
        head, _, body = (await anyio.to_thread.run_sync(ask)).partition(b"\r\n\r\n")
        server.should_exit = True
    control.close()
    assert head.startswith(b"HTTP/1.1 408 Request Timeout")
    assert json.loads(body)["error"]["code"] == "request_timeout"


def test_caller_is_known_by_its_peer_credentials() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        uid, gid, peer = peer_of(ours)
    assert (uid, gid) == (os.getuid(), os.getgid())
    assert (peer["uid"], peer["pid"]) == (os.getuid(), os.getpid())
    assert peer["user"]
