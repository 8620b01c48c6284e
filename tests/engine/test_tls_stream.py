"""TLS over a socket pair: what a socket promises holds, however small the pieces."""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbapp.engine.tls_contexts import build_client_context, build_server_context
from lbapp.engine.tls_stream import TlsStream
from lbapp.model.limits import TLS_SEND_BYTES_MAX, TLS_UNSENT_BYTES_MAX
from lbapp.model.tls import ListenerTls, PoolTls
from tests.tls_material import Authority

AUTHORITY = Authority()
SERVER = build_server_context(ListenerTls(()), [AUTHORITY.issue("app.test").material()], b"", ())
CLIENT = build_client_context(PoolTls(), AUTHORITY.pem, None)


class Told:
    def __init__(self) -> None:
        self.count = 0

    def read_again(self) -> None:
        self.count += 1


@contextmanager
def pair(client: ssl.SSLContext = CLIENT) -> Iterator[tuple[TlsStream, TlsStream, Told]]:
    """Return client and server, and what the server's owner is told, before the handshake."""
    ours, theirs = socket.socketpair()
    told = Told()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield TlsStream(client, ours, "app.test"), TlsStream(SERVER, theirs, is_server=True, readiness=told), told


def shake(client: TlsStream, server: TlsStream) -> None:
    done = [False, False]
    while not all(done):
        done = [end or stream.shake_hands() for end, stream in zip(done, (client, server), strict=True)]


def fill(raw: socket.socket) -> int:
    """Send until the socket takes no more; return how many bytes it took."""
    filled = 0
    while True:
        try:
            filled += raw.send(b"x" * 1000)
        except BlockingIOError:
            return filled


def receive(stream: TlsStream, bytes_max: int = 65536) -> bytes | None:
    try:
        return stream.recv(bytes_max)
    except BlockingIOError:
        return None


def test_end_is_said_and_read_after_what_came_before_it() -> None:
    with pair() as (client, server, _):
        shake(client, server)
        assert client.send(b"last words") == 10
        client.end()
        client.raw.shutdown(socket.SHUT_WR)
        assert receive(server) == b"last words"
        assert receive(server) == b""
        assert receive(server) == b""
        assert server.send(b"answer") == 6
        server.end()
        assert receive(client) == b"answer"
        assert receive(client) == b""


def test_end_without_the_end_of_tls_is_an_error() -> None:
    with pair() as (client, server, _):
        shake(client, server)
        client.send(b"cut sh")
        client.raw.shutdown(socket.SHUT_WR)
        assert receive(server) == b"cut sh"
        with pytest.raises(ssl.SSLEOFError):
            server.recv(100)


def test_what_was_received_before_we_ended_can_still_be_read() -> None:
    with pair() as (client, server, told):
        shake(client, server)
        client.send(b"a" * 30_000)
        assert receive(server, 10) == b"a" * 10
        before = told.count
        server.end()
        rest = b""
        while len(rest) < 29_990:
            rest += server.recv(1000)
        assert rest == b"a" * 29_990
        assert told.count > before
        assert receive(server) is None
        client.send(b"more")
        assert receive(server) == b"more"


def test_owner_is_told_of_what_no_edge_will_tell() -> None:
    with pair() as (client, server, told):
        shake(client, server)
        for _ in range(3):
            client.send(b"x" * 16_384)
        poll = select.epoll()
        with poll:
            poll.register(server.fileno(), select.EPOLLIN | select.EPOLLET)
            assert poll.poll(0)
            got = 0
            while got < 3 * 16_384:
                before = told.count
                part = server.recv(7_000)
                got += len(part)
                assert told.count > before or poll.poll(0) or got == 3 * 16_384


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 200_000), max_size=8), st.integers(1, 100_000), st.integers(2_000, 200_000))
def test_every_byte_arrives_once_and_in_order(sizes: list[int], bytes_max: int, room: int) -> None:
    data = os.urandom(sum(sizes))
    with pair() as (client, server, _):
        client.raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        shake(client, server)
        ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
        sent, got = 0, b""
        while len(got) < len(data):
            end = next((each for each in ends if each > sent), sent)
            if sent < end:
                try:
                    accepted = client.send(memoryview(data)[sent:end])
                    assert 0 < accepted <= TLS_SEND_BYTES_MAX
                    sent += accepted
                except BlockingIOError:
                    assert client.is_blocked
            part = receive(server, bytes_max)
            assert part is None or 0 < len(part) <= bytes_max
            got += part or b""
        assert got == data


def test_owner_is_told_to_read_again_when_what_came_before_was_enough() -> None:
    with pair() as (client, server, told):
        # The first bytes come in one read with the end of the handshake, as a client that has something to say sends them.
        while not client.shake_hands():
            server.shake_hands()
        assert client.send(b"first") == 5
        assert server.shake_hands()
        assert told.count == 1
        # More has come while its owner was busy, and its edge is the one that the owner is woken by.
        assert client.send(b"second") == 6
        assert receive(server) == b"first"
        assert told.count == 2
        assert receive(server) == b"second"
        assert told.count == 2, "the socket was read to its end: there will be an edge"


def test_nothing_sends_nothing() -> None:
    with pair() as (client, server, _):
        shake(client, server)
        assert client.send(b"") == 0


def test_reading_does_not_lose_what_a_blocked_send_has_accepted() -> None:
    with pair() as (client, server, _):
        client.raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        shake(client, server)
        data = os.urandom(60_000)
        with pytest.raises(BlockingIOError):
            client.send(data)
        server.send(b"meanwhile")
        assert receive(client) == b"meanwhile"
        got, accepted = b"", 0
        while len(got) < len(data):
            got += receive(server) or b""
            if not accepted:
                try:
                    accepted = client.send(data)
                except BlockingIOError:
                    continue
        assert (accepted, got) == (len(data), data)


def test_peer_that_makes_tls_talk_and_takes_no_answer_is_left() -> None:
    with pair() as (client, server, _):
        shake(client, server)
        fill(server.raw)
        server._outgoing.write(
            b"t" * (TLS_UNSENT_BYTES_MAX + 1)
        )  # as answers to what TLS itself asks for would pile up
        client.raw.send(b"\x17\x03\x03")  # the beginning of a record, and no more
        with pytest.raises(OSError, match="takes no answer"):
            server.recv(100)


def test_handshake_with_rubbish_fails_and_says_so_to_the_peer() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        ours.sendall(b"\x16\x03\x01\0\x04rubb")
        with pytest.raises(ssl.SSLError):
            TlsStream(SERVER, theirs, is_server=True).shake_hands()
        assert ours.recv(100)[:1] == b"\x15"  # an alert


def test_handshake_waits_for_room_to_write() -> None:
    with pair() as (client, server, _):
        assert not client.shake_hands()
        filled = fill(server.raw)
        assert not server.shake_hands()
        assert server.is_blocked
        while filled:
            filled -= len(client.raw.recv(filled))
        shake(client, server)
        assert client.send(b"through") == 7
        assert receive(server) == b"through"


def test_end_of_a_connection_that_is_gone_is_no_error() -> None:
    with pair() as (client, server, _):
        client.end()  # before there was a beginning
        shake_result = server.shake_hands()
        assert not shake_result
        client.raw.close()
        client.end()
        server.detach()
