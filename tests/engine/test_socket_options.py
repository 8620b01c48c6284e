from __future__ import annotations

import socket

from lbapp.engine.socket_options import apply, bind_source, listening_options, tcp_options
from lbapp.model.transport import ListenerTransport, TcpOptions


def test_accepted_sockets_inherit_what_a_listener_says() -> None:
    transport = ListenerTransport(tcp=TcpOptions(True, 7.0, 5.0, 3, 2.5), fastopen=True, defer_accept=True)
    with socket.socket() as listening:
        apply(listening, listening_options(transport))
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN) > 0
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) > 0
        with socket.create_connection(listening.getsockname()) as client:
            client.sendall(b"x")
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                names = (socket.TCP_NODELAY, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                assert [accepted.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [1, 7, 5, 3]
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500


def test_keepalive_is_on_unless_it_is_turned_off() -> None:
    keepalive = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert keepalive in tcp_options(TcpOptions())
    assert tcp_options(TcpOptions(keepalive=False)) == ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


def test_option_that_the_kernel_refuses_is_passed_over() -> None:
    with socket.socket() as sock:
        apply(sock, ((socket.IPPROTO_TCP, 9999, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_source_decides_where_a_connection_comes_from() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        bind_source(client, "127.0.0.9")
        client.connect(listening.getsockname())
        accepted, peer = listening.accept()
        accepted.close()
        assert peer[0] == "127.0.0.9"
