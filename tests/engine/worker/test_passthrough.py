"""TLS that is passed on unopened, through a real worker."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from lbapp.model.entities import Listener, Pool, Protocol, Route
from lbapp.model.limits import Limits
from lbapp.model.outcomes import Outcome
from tests.engine.wire.test_client_hello import real_hello
from tests.engine.worker.harness import RunningWorker, TcpServer, answering, read_head, running_worker, server
from tests.engine.worker.test_secure import AUTHORITY, REQUEST, over_tls
from tests.system.harness import wait_for

ROUTES = (Route("a", sni="a.test"), Route("b", sni="*.b.test"))


def listener(default: str | None) -> Listener:
    return Listener("web", (), Protocol.TCP, default, ROUTES)


def pools(*ports: int) -> tuple[Pool, ...]:
    return tuple(Pool(name, (server("s", port, pool=name),)) for name, port in zip("abc", ports, strict=False))


def asked(worker: RunningWorker, name: str | None) -> bytes:
    context = AUTHORITY.client_context()
    context.check_hostname = False
    with context.wrap_socket(worker.connect(), server_hostname=name) as client:
        client.sendall(REQUEST)
        _, rest = read_head(client)
        return rest or client.recv(10)


@pytest.fixture
def backends(tmp_path: Path) -> list[TcpServer]:
    return [
        TcpServer(over_tls(answering(name), AUTHORITY.server_context(AUTHORITY.issue("x"), tmp_path, name.decode())))
        for name in (b"a", b"b", b"c")
    ]


def test_pool_is_chosen_by_the_name_asked_for(backends: list[TcpServer]) -> None:
    with running_worker((listener("c"),), pools(*(each.port for each in backends))) as worker:
        assert asked(worker, "a.test") == b"a"
        assert asked(worker, "A.TEST") == b"a"
        assert asked(worker, "x.y.b.test") == b"b"
        assert asked(worker, "elsewhere.test") == b"c"
        assert asked(worker, None) == b"c"


def test_name_that_no_route_takes_is_closed_without_a_pool(backends: list[TcpServer]) -> None:
    with running_worker((listener(None),), pools(*(each.port for each in backends))) as worker:
        assert asked(worker, "a.test") == b"a"
        for name in ("elsewhere.test", None):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                asked(worker, name)
        wait_for(lambda: worker.listener().outcomes[Outcome.NO_ROUTE] == 2)


def test_hello_in_pieces_is_passed_on_whole() -> None:
    hello = real_hello("a.test")

    def give_back(connection: socket.socket) -> None:
        got = b""
        while len(got) < len(hello) + 5:
            got += connection.recv(65536)
        connection.sendall(got)

    backend = TcpServer(give_back)
    with running_worker((listener(None),), pools(backend.port, backend.port)) as worker, worker.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(hello), 7):
            client.sendall(hello[at : at + 7])
        client.sendall(b"early")
        assert client.recv(65536, socket.MSG_WAITALL) == hello + b"early"
    backend.close()


@pytest.mark.parametrize(
    ("sent", "is_ended", "outcome"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", False, Outcome.CLIENT_BAD_REQUEST),
        (b"\x16\x03\x01", True, Outcome.CLIENT_BAD_REQUEST),
        (b"\x16\x03\x01", False, Outcome.CLIENT_TIMEOUT),
    ],
)
def test_client_without_a_hello_reaches_no_server(sent: bytes, is_ended: bool, outcome: Outcome) -> None:
    backend = TcpServer(answering())
    limits = Limits(tls_handshake_timeout_s=0.3)
    with running_worker((listener("a"),), pools(backend.port, backend.port), limits) as worker:
        with worker.connect() as client:
            client.sendall(sent)
            if is_ended:
                client.shutdown(socket.SHUT_WR)
            try:
                assert client.recv(100) == b""
            except ConnectionResetError:
                pass
        wait_for(lambda: worker.listener().outcomes[outcome] == 1)
        worker.connect().close()
        wait_for(lambda: worker.listener().connections == 0)
        assert backend.accepted == 0
    backend.close()
