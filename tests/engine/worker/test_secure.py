"""TLS with clients and with servers, through a real worker."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from lbapp.engine.channel import Drain, TlsChanged
from lbapp.engine.tls_stream import TlsStream
from lbapp.engine.worker.secure import end_of, failure_of
from lbapp.model.actions import Hsts
from lbapp.model.entities import Listener, Pool, Protocol
from lbapp.model.limits import Limits
from lbapp.model.outcomes import FailureKind, Outcome
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType
from lbapp.model.tls import (
    CertificateMaterial,
    ClientCertificates,
    HandshakeEnd,
    ListenerTls,
    PoolTls,
    TlsMaterial,
    TlsVersion,
)
from lbapp.model.transport import ListenerTransport, PoolTransport, ProxyVersion
from tests.engine.worker.harness import (
    Handler,
    RunningWorker,
    TcpServer,
    answering,
    read_exactly,
    read_head,
    running_worker,
    server,
)
from tests.system.harness import wait_for
from tests.tls_material import Authority

REQUEST = b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"
AUTHORITY = Authority()
OTHERS = Authority("somebody else")
SETTINGS = ListenerTls(())
WEB = Listener("web", (), pool="app", tls=SETTINGS)
TCP = replace(WEB, protocol=Protocol.TCP)


def app(backend: TcpServer) -> tuple[Pool, ...]:
    return (Pool("app", (server("s", backend.port),)),)


def material(*certificates: CertificateMaterial, client_ca: bytes = b"", ca: bytes = b"") -> TlsMaterial:
    return TlsMaterial(
        {"web": certificates or (AUTHORITY.issue("app.test", "*.sites.test").material(),)},
        {"web": client_ca} if client_ca else {},
        {"app": ca} if ca else {},
        {},
    )


def secured(worker: RunningWorker, context: ssl.SSLContext, name: str | None = "app.test") -> ssl.SSLSocket:
    return context.wrap_socket(worker.connect(), server_hostname=name)


def everything(connection: socket.socket) -> bytes:
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer


def certificate_names(connection: ssl.SSLSocket) -> set[str]:
    shown = connection.getpeercert() or {}
    return {str(entry[1]) for entry in shown.get("subjectAltName", ())}


def ends(worker: RunningWorker) -> dict[HandshakeEnd, int]:
    return {end: count for end, count in zip(HandshakeEnd, worker.listener().handshakes, strict=True) if count}


def test_request_over_tls_says_so_to_its_server() -> None:
    seen: list[bytes] = []
    backend = TcpServer(answering(seen=seen))
    with (
        running_worker((WEB,), app(backend), tls=material()) as worker,
        secured(worker, AUTHORITY.client_context()) as client,
    ):
        assert client.version() == "TLSv1.3"
        for _ in range(3):
            client.sendall(REQUEST)
            assert read_head(client)[0].startswith(b"HTTP/1.1 200")
        wait_for(lambda: worker.listener().outcomes[Outcome.COMPLETED] == 3)
        assert len(seen) == 3
        assert all(b"X-Forwarded-Proto: https\r\n" in head for head in seen)
        assert ends(worker) == {HandshakeEnd.DONE: 1}
        client.close()
        wait_for(lambda: worker.listener().connections == 0)
    backend.close()


def test_end_of_a_connection_is_said_in_tls() -> None:
    backend = TcpServer(answering())
    with running_worker((WEB,), app(backend), tls=material()) as worker:
        context = AUTHORITY.client_context()
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        sock = worker.connect()
        with context.wrap_socket(sock, server_hostname="app.test", suppress_ragged_eofs=False) as client:
            client.sendall(LAST)
            assert everything(client).endswith(b"\r\n\r\ns")
    backend.close()


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 70_000, 3_000_000])
def test_bodies_of_any_size_go_both_ways(size: int) -> None:
    body = os.urandom(size)

    def echo(connection: socket.socket) -> None:
        _, rest = read_head(connection)
        got = read_exactly(connection, size, rest)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, got))

    backend = TcpServer(echo)
    with (
        running_worker((WEB,), app(backend), tls=material()) as worker,
        secured(worker, AUTHORITY.client_context()) as client,
    ):
        head = b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % size
        client.sendall(head + body)
        _, rest = read_head(client)
        assert read_exactly(client, size, rest) == body
    backend.close()


def test_client_that_reads_slowly_gets_every_byte() -> None:
    body = os.urandom(12_000_000)

    def big(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        connection.recv(1)

    backend = TcpServer(big)
    with (
        running_worker((WEB,), app(backend), tls=material()) as worker,
        secured(worker, AUTHORITY.client_context()) as client,
    ):
        client.sendall(LAST)
        wait_for(lambda: worker.listener().in_flight == 1)
        got = bytearray()
        while data := client.recv(3000):
            got += data
        assert got.partition(b"\r\n\r\n")[2] == body
    backend.close()


def test_pipelined_requests_in_one_record_are_all_answered() -> None:
    backend = TcpServer(answering())
    with (
        running_worker((WEB,), app(backend), tls=material()) as worker,
        secured(worker, AUTHORITY.client_context()) as client,
    ):
        client.sendall(REQUEST * 50 + LAST)
        assert everything(client).count(b"HTTP/1.1 200 OK") == 51
    backend.close()


def test_request_byte_by_byte_is_answered() -> None:
    backend = TcpServer(answering())
    with (
        running_worker((WEB,), app(backend), tls=material()) as worker,
        secured(worker, AUTHORITY.client_context()) as client,
    ):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(LAST)):
            client.sendall(LAST[at : at + 1])
        assert everything(client).startswith(b"HTTP/1.1 200 OK")
    backend.close()


def test_certificate_is_chosen_by_the_name_asked_for() -> None:
    first, exact, wild = (
        AUTHORITY.issue(*names).material() for names in (["app.test"], ["www.shop.test"], ["*.shop.test", "shop.test"])
    )
    with running_worker((WEB,), (Pool("app", ()),), tls=material(first, exact, wild)) as worker:
        context = AUTHORITY.client_context()
        for name, expected in (
            ("app.test", {"app.test"}),
            ("WWW.shop.test", {"www.shop.test"}),
            ("other.shop.test", {"*.shop.test", "shop.test"}),
            ("shop.test", {"*.shop.test", "shop.test"}),
        ):
            with secured(worker, context, name) as client:
                assert certificate_names(client) == expected
        context.check_hostname = False
        for unknown in ("a.b.shop.test", "elsewhere.test", None):
            with secured(worker, context, unknown) as client:
                assert certificate_names(client) == {"app.test"}


def test_two_types_of_key_for_one_name_are_chosen_by_what_the_client_can() -> None:
    both = [AUTHORITY.issue("app.test", kind=kind).material() for kind in ("rsa", "ec")]
    with running_worker((WEB,), (Pool("app", ()),), tls=material(*both)) as worker:
        for ciphers, expected in (("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA"), ("ECDHE-RSA-AES128-GCM-SHA256", "RSA")):
            context = AUTHORITY.client_context()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(ciphers)
            with secured(worker, context) as client:
                agreed = client.cipher()
                assert agreed is not None
                assert expected in agreed[0]


def test_http_is_agreed_on_by_alpn() -> None:
    with running_worker((WEB,), (Pool("app", ()),), tls=material()) as worker:
        context = AUTHORITY.client_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with secured(worker, context) as client:
            assert client.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    ("minimum", "version", "is_served"),
    [
        (TlsVersion.TLS_1_2, "-tls1_1", False),
        (TlsVersion.TLS_1_2, "-tls1_2", True),
        (TlsVersion.TLS_1_2, "-tls1_3", True),
        (TlsVersion.TLS_1_3, "-tls1_2", False),
    ],
)
def test_old_versions_are_refused(minimum: TlsVersion, version: str, is_served: bool) -> None:
    listener = replace(WEB, tls=replace(SETTINGS, min_version=minimum))
    with running_worker((listener,), (Pool("app", ()),), tls=material()) as worker:
        done = subprocess.run(
            [
                "openssl", "s_client", "-connect", f"127.0.0.1:{worker.ports['web']}", version,
                "-cipher", "ALL:@SECLEVEL=0", "-servername", "app.test",
            ],
            input=b"", capture_output=True, check=False, timeout=20,
        )  # fmt: skip
        assert (done.returncode == 0) is is_served
        wait_for(lambda: ends(worker))
        assert ends(worker) == {HandshakeEnd.DONE if is_served else HandshakeEnd.NO_COMMON_VERSION: 1}


def test_weak_ciphers_are_refused() -> None:
    with running_worker((WEB,), (Pool("app", ()),), tls=material()) as worker:
        context = AUTHORITY.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA:AES128-SHA")
        with pytest.raises(ssl.SSLError):
            secured(worker, context)
        wait_for(lambda: ends(worker) == {HandshakeEnd.NO_COMMON_CIPHER: 1})


def test_client_certificates_are_asked_for(tmp_path: Path) -> None:
    good = AUTHORITY.issue(common="good").write(tmp_path, "good")
    bad = OTHERS.issue(common="bad").write(tmp_path, "bad")
    expired = AUTHORITY.issue(common="old", days=-1).write(tmp_path, "old")
    backend = TcpServer(answering())
    for mode, without in ((ClientCertificates.OPTIONAL, True), (ClientCertificates.REQUIRED, False)):
        listener = replace(WEB, tls=replace(SETTINGS, client_certificates=mode))
        pools = app(backend)
        with running_worker((listener,), pools, tls=material(client_ca=AUTHORITY.pem)) as worker:
            for own, is_served in ((good, True), (bad, False), (expired, False), (None, without)):
                assert _is_served(worker, AUTHORITY.client_context(own)) is is_served, (mode, own)
            expected = {HandshakeEnd.DONE: 1 + without, HandshakeEnd.CERTIFICATE_REFUSED: 2}
            if not without:
                expected[HandshakeEnd.CERTIFICATE_MISSING] = 1
            wait_for(lambda expected=expected: ends(worker) == expected)  # type: ignore[misc]
    backend.close()


def _is_served(worker: RunningWorker, context: ssl.SSLContext) -> bool:
    try:
        with secured(worker, context) as client:
            client.sendall(LAST)  # with TLS 1.3 a client learns only now what became of its certificate
            return everything(client).startswith(b"HTTP/1.1 200")
    except (ssl.SSLError, ConnectionError):
        return False


def test_request_without_tls_is_told_so() -> None:
    with running_worker((WEB,), (Pool("app", ()),), tls=material()) as worker:
        answer = worker.request(LAST)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"https" in answer
        assert ends(worker) == {HandshakeEnd.NOT_TLS: 1}


def test_handshake_that_takes_too_long_is_ended() -> None:
    limits = Limits(tls_handshake_timeout_s=0.3)
    with running_worker((WEB,), (Pool("app", ()),), limits, tls=material()) as worker:
        with worker.connect() as client:
            client.sendall(b"\x16\x03\x01")
            assert client.recv(100) == b""
        wait_for(lambda: ends(worker) == {HandshakeEnd.TIMED_OUT: 1})
        wait_for(lambda: worker.listener().connections == 0)


def test_client_that_does_not_trust_us_and_one_that_goes_are_counted() -> None:
    with running_worker((WEB,), (Pool("app", ()),), tls=material()) as worker:
        with pytest.raises(ssl.SSLCertVerificationError):
            secured(worker, OTHERS.client_context())
        wait_for(lambda: ends(worker) == {HandshakeEnd.REFUSED_BY_CLIENT: 1})
        worker.connect().close()
        wait_for(lambda: ends(worker).get(HandshakeEnd.CLIENT_GONE) == 1)


def test_new_certificates_are_served_without_a_break() -> None:
    old, new = (AUTHORITY.issue("app.test", name).material() for name in ("old.test", "new.test"))
    backend = TcpServer(answering())
    with running_worker((WEB,), app(backend), tls=material(old)) as worker:
        context = AUTHORITY.client_context()
        with secured(worker, context) as before:
            assert "old.test" in certificate_names(before)
            worker.send(TlsChanged(material(new)))

            def is_new() -> bool:
                with secured(worker, context) as after:
                    return "new.test" in certificate_names(after)

            wait_for(is_new)
            worker.send(TlsChanged(material(replace(new, chain=b"rubbish"))))
            before.sendall(REQUEST)
            assert read_head(before)[0].startswith(b"HTTP/1.1 200")
            assert is_new()
    backend.close()


def test_sessions_are_resumed() -> None:
    backend = TcpServer(answering())
    with running_worker((WEB,), app(backend), tls=material()) as worker:
        context = AUTHORITY.client_context()
        with secured(worker, context) as first:
            first.sendall(LAST)
            everything(first)
            session = first.session
        again = context.wrap_socket(worker.connect(), server_hostname="app.test", session=session)
        with again:
            assert again.session_reused
        wait_for(lambda: worker.listener().resumed == 1)
    backend.close()


# -- TCP listeners -------------------------------------------------------------------------------------------------------


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def test_half_close_is_passed_on_in_both_directions() -> None:
    data = os.urandom(300_000)

    def collect(connection: socket.socket) -> None:
        connection.sendall(everything(connection))

    backend = TcpServer(collect)
    with running_worker((TCP,), app(backend), tls=material()) as worker:
        with worker.connect() as raw:
            client = TlsStream(AUTHORITY.client_context(), raw, "app.test")
            assert client.shake_hands()
            sent = 0
            while sent < len(data):
                sent += client.send(data[sent:])
            client.end()
            got = b""
            while more := client.recv(65536):
                got += more
            assert got == data
        wait_for(lambda: worker.listener().outcomes[Outcome.COMPLETED] == 1)
    backend.close()


def test_tcp_listener_relays_what_tls_carries() -> None:
    data = os.urandom(1_000_000)
    backend = TcpServer(_echo)
    with running_worker((TCP,), app(backend), tls=material()) as worker:
        with secured(worker, AUTHORITY.client_context()) as client:
            client.setblocking(False)
            sent, got = 0, b""
            while len(got) < len(data):
                try:
                    sent += client.send(data[sent : sent + 50_000]) if sent < len(data) else 0
                except ssl.SSLWantWriteError:
                    pass
                try:
                    more = client.recv(65536)
                    assert more, f"the end after {len(got)} bytes"
                    got += more
                except ssl.SSLWantReadError:
                    pass
            assert got == data
            client.setblocking(True)
            client.unwrap().close()
        wait_for(lambda: worker.listener().outcomes[Outcome.COMPLETED] == 1)
        assert worker.listener().bytes_in == len(data)
    backend.close()


def test_stream_that_ends_without_the_end_of_tls_is_broken_off() -> None:
    backend = TcpServer(_echo)
    with running_worker((TCP,), app(backend), tls=material()) as worker:
        with secured(worker, AUTHORITY.client_context()) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        wait_for(lambda: worker.listener().outcomes[Outcome.ABORTED] == 1)
    backend.close()


def test_upgraded_connection_is_a_tunnel_within_tls() -> None:
    def switch(connection: socket.socket) -> None:
        head, rest = read_head(connection)
        assert b"Upgrade: websocket" in head
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + rest
        )
        _echo(connection)

    backend = TcpServer(switch)
    head = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    with (
        running_worker((WEB,), app(backend), tls=material()) as worker,
        secured(worker, AUTHORITY.client_context()) as client,
    ):
        client.sendall(head)
        answer, rest = read_head(client)
        assert answer.startswith(b"HTTP/1.1 101 ")
        for data in (b"a" * 10, b"b" * 100_000):
            client.sendall(data)
            assert read_exactly(client, len(data), rest) == data
            rest = b""
    backend.close()


def test_proxy_header_goes_before_tls_on_both_sides(tmp_path: Path) -> None:
    seen: list[bytes] = []
    heads: list[bytes] = []
    context = AUTHORITY.server_context(AUTHORITY.issue("backend.test"), tmp_path)

    def behind_header(connection: socket.socket) -> None:
        header = b""
        while not header.endswith(b"\r\n"):
            header += connection.recv(1)
        heads.append(header)
        with context.wrap_socket(connection, server_side=True) as secure:
            answering(seen=seen)(secure)

    backend = TcpServer(behind_header)
    trusting = ListenerTransport(proxy_protocol=True, proxy_protocol_from=(ip_network("127.0.0.0/8"),))
    pool = Pool(
        "app",
        (server("s", backend.port),),
        transport=PoolTransport(proxy_protocol=ProxyVersion.V1),
        tls=PoolTls(server_name="backend.test"),
    )
    with running_worker((replace(WEB, transport=trusting),), (pool,), tls=material(ca=AUTHORITY.pem)) as worker:
        raw = worker.connect()
        raw.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n")
        with AUTHORITY.client_context().wrap_socket(raw, server_hostname="app.test") as client:
            client.sendall(LAST)
            assert everything(client).startswith(b"HTTP/1.1 200")
    assert heads == [b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n"]
    assert b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n" in seen[0]
    backend.close()


def test_hsts_and_secure_cookies_come_with_tls_only() -> None:
    backend = TcpServer(answering())
    keys = (PersistenceKey("k", b"0123456789abcdef"),)
    pool = Pool("app", (server("s", backend.port),), persistence=Persistence(PersistenceType.COOKIE, keys=keys))
    hsts = Hsts(31_536_000, False, False)
    listeners = (replace(WEB, hsts=hsts), replace(WEB, name="plain", tls=None, hsts=hsts))
    with running_worker(listeners, (pool,), tls=material()) as worker:
        with secured(worker, AUTHORITY.client_context()) as client:
            client.sendall(LAST)
            secure = everything(client)
        assert b"strict-transport-security: max-age=31536000\r\n" in secure
        assert b"; Secure" in secure
        plain = worker.request(LAST, "plain")
        assert plain.startswith(b"HTTP/1.1 200")
        assert b"strict-transport" not in plain
        assert b"; Secure" not in plain
    backend.close()


def test_drain_ends_idle_connections_over_tls_in_good_order() -> None:
    backend = TcpServer(answering())
    context = AUTHORITY.client_context()
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    with running_worker((WEB,), app(backend), tls=material()) as worker:
        raw = worker.connect()
        with context.wrap_socket(raw, server_hostname="app.test", suppress_ragged_eofs=False) as client:
            client.sendall(REQUEST)
            _, rest = read_head(client)
            read_exactly(client, 1, rest)
            worker.send(Drain(5.0))
            assert client.recv(100) == b""  # an end without the end of TLS would raise
        worker.process.join(20)
        assert worker.process.exitcode == 0
    backend.close()


# -- servers -------------------------------------------------------------------------------------------------------------


def over_tls(handler: Handler, context: ssl.SSLContext) -> Handler:
    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            handler(secure)

    return handle


@pytest.mark.parametrize("is_client_secure", [False, True])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_servers_are_spoken_with_in_tls(tmp_path: Path, version: ssl.TLSVersion, is_client_secure: bool) -> None:
    context = AUTHORITY.server_context(AUTHORITY.issue("backend.test"), tmp_path)
    context.maximum_version = version
    asked: list[str | None] = []
    context.sni_callback = lambda _object, name, _context: asked.append(name)
    backend = TcpServer(over_tls(answering(), context))
    pool = Pool("app", (server("s", backend.port),), tls=PoolTls(server_name="backend.test"))
    listener = WEB if is_client_secure else replace(WEB, tls=None)
    with running_worker((listener,), (pool,), tls=material(ca=AUTHORITY.pem)) as worker:
        connection = secured(worker, AUTHORITY.client_context()) if is_client_secure else worker.connect()
        with connection:
            for _ in range(5):
                connection.sendall(REQUEST)
                assert read_head(connection)[0].startswith(b"HTTP/1.1 200")
        assert asked == ["backend.test"]  # one connection, used again
        assert backend.accepted == 1
    backend.close()


def test_server_with_an_address_is_verified_by_it(tmp_path: Path) -> None:
    context = AUTHORITY.server_context(AUTHORITY.issue("127.0.0.1"), tmp_path)
    backend = TcpServer(over_tls(answering(), context))
    pool = Pool("app", (server("s", backend.port),), tls=PoolTls())
    with running_worker((replace(WEB, tls=None),), (pool,), tls=material(ca=AUTHORITY.pem)) as worker:
        assert worker.request(LAST).startswith(b"HTTP/1.1 200")
    backend.close()


@pytest.mark.parametrize(
    ("name", "ca", "verify", "failure"),
    [
        ("backend.test", AUTHORITY.pem, True, None),
        ("elsewhere.test", AUTHORITY.pem, True, FailureKind.TLS_CERTIFICATE),
        ("backend.test", OTHERS.pem, True, FailureKind.TLS_CERTIFICATE),
        ("elsewhere.test", b"", False, None),
    ],
    ids=["both good", "another name", "another authority", "not verified"],
)
def test_servers_are_verified_by_authority_and_name(
    tmp_path: Path, name: str, ca: bytes, verify: bool, failure: FailureKind | None
) -> None:
    context = AUTHORITY.server_context(AUTHORITY.issue("backend.test"), tmp_path)
    backend = TcpServer(over_tls(answering(), context))
    pool = Pool("app", (server("s", backend.port),), tls=PoolTls(server_name=name, verify=verify))
    with running_worker((replace(WEB, tls=None),), (pool,), tls=material(ca=ca)) as worker:
        answer = worker.request(LAST)
        assert answer.startswith(b"HTTP/1.1 502" if failure is not None else b"HTTP/1.1 200")
        if failure is not None:
            assert worker.server("app/s").failures[failure] == 1
        assert worker.server("app/s").in_flight == 0
    backend.close()


def _without_tls(connection: socket.socket) -> None:
    connection.recv(10)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def test_server_without_tls_is_a_failure_and_another_is_tried(tmp_path: Path) -> None:
    context = AUTHORITY.server_context(AUTHORITY.issue("backend.test"), tmp_path)
    plain = TcpServer(_without_tls)
    secure = TcpServer(over_tls(answering(b"secure"), context))
    servers = (server("plain", plain.port), server("secure", secure.port))
    pool = Pool("app", servers, tls=PoolTls(server_name="backend.test"))
    with running_worker((replace(WEB, tls=None),), (pool,), tls=material(ca=AUTHORITY.pem)) as worker:
        for _ in range(4):
            assert worker.request(LAST).endswith(b"secure")
        assert worker.server("app/plain").failures[FailureKind.TLS_HANDSHAKE] >= 1
    plain.close()
    secure.close()


def test_server_that_never_ends_its_handshake_is_a_connect_timeout() -> None:
    backend = TcpServer(_silent)
    pool = Pool("app", (server("s", backend.port),), tls=PoolTls(verify=False))
    with running_worker((replace(WEB, tls=None),), (pool,), Limits(connect_timeout_s=0.3)) as worker:
        assert worker.request(LAST).startswith(b"HTTP/1.1 504")
        assert worker.server("app/s").failures[FailureKind.CONNECT_TIMEOUT] == 1
    backend.close()


def test_answer_that_was_cut_short_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    context = AUTHORITY.server_context(AUTHORITY.issue("backend.test"), tmp_path)

    def cut(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nonly the beginn")
        raw = socket.socket(fileno=os.dup(connection.fileno()))
        raw.shutdown(socket.SHUT_RDWR)  # no end of TLS before the end of TCP
        raw.close()

    backend = TcpServer(over_tls(cut, context))
    pool = Pool("app", (server("s", backend.port),), tls=PoolTls(server_name="backend.test"))
    with running_worker((replace(WEB, tls=None),), (pool,), tls=material(ca=AUTHORITY.pem)) as worker:
        answer = worker.request(LAST)
        assert not answer.endswith(b"0\r\n\r\n")
        wait_for(lambda: worker.listener().outcomes[Outcome.SERVER_CLOSED] == 1)
    backend.close()


def test_bulk_goes_through_tls_on_both_sides(tmp_path: Path) -> None:
    body = os.urandom(5_000_000)
    context = AUTHORITY.server_context(AUTHORITY.issue("backend.test"), tmp_path)

    def big(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    backend = TcpServer(over_tls(big, context))
    pool = Pool("app", (server("s", backend.port),), tls=PoolTls(server_name="backend.test"))
    with (
        running_worker((WEB,), (pool,), tls=material(ca=AUTHORITY.pem)) as worker,
        secured(worker, AUTHORITY.client_context()) as client,
    ):
        client.sendall(LAST)
        _, rest = read_head(client)
        assert read_exactly(client, len(body), rest) == body
    backend.close()


# -- the words for it ----------------------------------------------------------------------------------------------------


def _error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


def test_every_reason_has_an_end() -> None:
    assert end_of(ssl.SSLEOFError()) is HandshakeEnd.CLIENT_GONE
    assert end_of(_error("TLSV1_ALERT_UNKNOWN_CA")) is HandshakeEnd.REFUSED_BY_CLIENT
    assert end_of(_error("NO_SHARED_CIPHER")) is HandshakeEnd.NO_COMMON_CIPHER
    assert end_of(_error("SOMETHING_NEW")) is HandshakeEnd.FAILED
    assert end_of(ssl.SSLError(1, "nothing")) is HandshakeEnd.FAILED
    assert failure_of(ConnectionResetError()) is FailureKind.TLS_HANDSHAKE
    assert failure_of(KeyError()) is None
