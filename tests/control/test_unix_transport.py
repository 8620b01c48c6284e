"""The connections under both clients."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import anyio
import httpcore
import pytest

from lbapp.control.unix_transport import async_connections, connections

SHORT = {"timeout": {"read": 0.05, "write": 0.05}}


@pytest.fixture
def listening(tmp_path: Path) -> tuple[socket.socket, Path]:
    path = tmp_path / "s"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server, path


def answer_once(server: socket.socket, answer: bytes) -> None:
    def run() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()


def test_request_and_answer_cross_the_socket(listening: tuple[socket.socket, Path]) -> None:
    server, path = listening
    with server, connections(path) as client:
        for _ in range(2):  # each on a connection of its own: the server closes the first
            answer_once(server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            assert client.request("GET", "http://lbapp/").content == b"hi"


def test_silence_a_cut_answer_and_a_server_that_takes_nothing_are_errors_of_httpcore(
    listening: tuple[socket.socket, Path],
) -> None:
    server, path = listening
    with server, connections(path) as client:
        with pytest.raises(httpcore.ReadTimeout):
            client.request("GET", "http://lbapp/", extensions=SHORT)
        server.accept()[0].close()
        with pytest.raises(httpcore.WriteTimeout):
            client.request("POST", "http://lbapp/", content=bytes(8 << 20), extensions=SHORT)
        server.accept()[0].close()
    with socket.socket(socket.AF_UNIX) as other, connections(path.with_name("t")) as client:
        other.bind(str(path.with_name("t")))
        other.listen()
        answer_once(other, b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi")
        with pytest.raises(httpcore.RemoteProtocolError):
            client.request("GET", "http://lbapp/")


def test_path_that_nobody_answers_on_is_a_connect_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    with (
        connections(tmp_path / "none") as client,
        pytest.raises(httpcore.ConnectError) as raised,
    ):
        client.request("GET", "http://lbapp/")
    # While the error is held, so that nothing is left to the garbage collector.
    assert len([*Path("/proc/self/fd").iterdir()]) == before, raised


@pytest.mark.anyio
async def test_asynchronous_request_and_answer_cross_the_socket(listening: tuple[socket.socket, Path]) -> None:
    server, path = listening
    answer_once(server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    with server:
        async with async_connections(path) as client:
            assert (await client.request("GET", "http://lbapp/")).content == b"hi"


@pytest.mark.anyio
async def test_leaving_while_an_answer_comes_in_is_quiet(listening: tuple[socket.socket, Path]) -> None:
    server, path = listening
    loop = asyncio.get_running_loop()
    complaints: list[object] = []
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    async with async_connections(path) as client:
        asking = asyncio.create_task(client.request("GET", "http://lbapp/"))
        connection, _ = await anyio.to_thread.run_sync(server.accept)
        await anyio.to_thread.run_sync(connection.recv, 65536)
        await anyio.wait_all_tasks_blocked()
        # Readable and cancelled in one turn of the loop.
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        loop.call_soon(asking.cancel)
        with pytest.raises(asyncio.CancelledError):
            await asking
    connection.close()
    server.close()
    assert complaints == []


@pytest.mark.anyio
async def test_asynchronous_silence_and_a_cut_answer_are_errors_of_httpcore(
    listening: tuple[socket.socket, Path],
) -> None:
    server, path = listening
    with server:
        async with async_connections(path) as client:
            with pytest.raises(httpcore.ReadTimeout):
                await client.request("GET", "http://lbapp/", extensions=SHORT)
        server.accept()[0].close()
        answer_once(server, b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi")
        async with async_connections(path) as client:
            with pytest.raises(httpcore.RemoteProtocolError):
                await client.request("GET", "http://lbapp/")


@pytest.mark.anyio
async def test_asynchronous_path_that_nobody_answers_on_is_a_connect_error(tmp_path: Path) -> None:
    async with async_connections(tmp_path / "none") as client:
        with pytest.raises(httpcore.ConnectError):
            await client.request("GET", "http://lbapp/")
