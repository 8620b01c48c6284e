from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbapp.engine.channel import SocketAddress
from lbapp.engine.policy.health import ProbeResult
from lbapp.engine.supervisor.probes import probe
from lbapp.engine.tls_contexts import ServerTls, build_client_context
from lbapp.model.entities import CheckType, HealthCheck
from lbapp.model.tls import PoolTls
from lbapp.model.transport import PoolTransport, ProxyVersion
from tests.engine.supervisor.support import Backend
from tests.system.harness import free_port
from tests.tls_material import Authority

pytestmark = pytest.mark.anyio
HTTP = HealthCheck(CheckType.HTTP, path="/healthz", timeout_s=2.0)
TCP = HealthCheck(CheckType.TCP, timeout_s=2.0)


async def found_through(transport: PoolTransport, check: HealthCheck = HTTP) -> tuple[tuple[bool, str], bytes, str]:
    """Probe a server that says OK; return what was found, the server's first bytes, and where they came from."""
    seen: list[tuple[bytes, str]] = []

    def answer(connection: socket.socket) -> None:
        seen.append((connection.recv(4096), connection.getpeername()[0]))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with answering(answer) as port:
        result = await probe(check, at(port), "h", transport)
    return (result.is_success, result.reason), *seen[0]


@pytest.mark.parametrize(
    ("version", "header"),
    [
        (ProxyVersion.V1, b"PROXY UNKNOWN\r\n"),
        (ProxyVersion.V2, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
    ],
)
async def test_probe_says_that_it_speaks_for_nobody_else(version: ProxyVersion, header: bytes) -> None:
    found, seen, _ = await found_through(PoolTransport(version))
    assert found == (True, "HTTP 204")
    assert seen.startswith(header)
    found, seen, _ = await found_through(PoolTransport(version), TCP)
    assert (found, seen) == ((True, "connected"), header)


async def test_probe_comes_from_the_pools_source() -> None:
    found, _, source = await found_through(PoolTransport(source="127.0.0.8"))
    assert (found[0], source) == (True, "127.0.0.8")


async def test_server_on_a_unix_socket_is_probed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    address: list[SocketAddress] = [(int(socket.AF_UNIX), str(path), 0)]
    result = await probe(TCP, address, "localhost")
    assert (result.is_success, result.reason) == (False, "No such file or directory")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        result = await probe(TCP, address, "localhost")
        assert (result.is_success, result.reason) == (False, "connection refused")
        server.listen()
        assert (await probe(TCP, address, "localhost")).is_success


def at(port: int) -> list[SocketAddress]:
    return [(int(socket.AF_INET), "127.0.0.1", port)]


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection with `answer`; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


async def found(check: HealthCheck, port: int) -> tuple[bool, str]:
    result: ProbeResult = await probe(check, at(port), f"127.0.0.1:{port}")
    return result.is_success, result.reason


async def test_2xx_and_3xx_are_successes_and_all_else_is_a_failure_with_its_status() -> None:
    with Backend() as backend:
        for status, is_success in ((200, True), (204, True), (302, True), (404, False), (503, False)):
            backend.status = status
            assert await found(HTTP, backend.port) == (is_success, f"HTTP {status}")
        assert all("health-check" in agent for agent in backend.agents)


async def test_refused_connection_is_a_failure_of_http_and_tcp() -> None:
    port = free_port()
    assert await found(HTTP, port) == (False, "connection refused")
    assert await found(TCP, port) == (False, "connection refused")


async def test_tcp_check_needs_no_more_than_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await found(TCP, server.getsockname()[1]) == (True, "connected")


async def test_silent_server_is_a_failure_within_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check = HealthCheck(CheckType.HTTP, timeout_s=0.1)
        result = await probe(check, at(server.getsockname()[1]), "x")
        assert (result.is_success, result.reason) == (False, "no answer within 0.1s")
        assert 0.1 <= result.duration_s < 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "no valid HTTP response"),
        (b"SSH-2.0-x\r\n\r\n", "no valid HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "no valid HTTP response"),
    ],
)
async def test_broken_answer_is_a_failure(answer: bytes, reason: str) -> None:
    def send(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with answering(send) as port:
        assert await found(HTTP, port) == (False, reason)


async def test_interim_response_is_not_the_answer() -> None:
    def send(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

    with answering(send) as port:
        assert await found(HTTP, port) == (False, "HTTP 503")


async def test_second_address_is_asked_when_the_first_refuses() -> None:
    with Backend() as backend:
        result = await probe(HTTP, at(free_port()) + at(backend.port), "x")
        assert result.is_success


async def test_server_without_an_address_fails() -> None:
    result = await probe(HTTP, [], "x")
    assert (result.is_success, result.reason) == (False, "name not resolved")


# -- TLS -----------------------------------------------------------------------------------------------------------------


def _over_tls(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                if secure.recv(4096):
                    secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        except OSError:
            return  # the probe did not like us

    return answer


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("backend.test", (True, "HTTP 204")),
        (
            "other.test",
            (
                False,
                "certificate refused: Hostname mismatch, certificate is not valid for 'other.test'.",
            ),
        ),
    ],
)
async def test_servers_of_a_pool_with_tls_are_probed_over_it(
    tmp_path: Path, name: str, found: tuple[bool, str]
) -> None:
    authority = Authority()
    context = authority.server_context(authority.issue("backend.test"), tmp_path)
    tls = ServerTls(build_client_context(PoolTls(), authority.pem, None), name)
    for check in (HTTP, TCP):
        with answering(_over_tls(context)) as port:
            result = await probe(check, at(port), "h", PoolTransport(), tls)
        expected = found if check is HTTP or not found[0] else (True, "connected")
        assert (result.is_success, result.reason) == expected


async def test_server_without_tls_fails_a_probe_over_it() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    tls = ServerTls(build_client_context(PoolTls(verify=False), b"", None), None)
    with answering(answer) as port:
        result = await probe(TCP, at(port), "h", PoolTransport(), tls)
    assert (result.is_success, result.reason) == (False, "TLS failed: wrong version number")
