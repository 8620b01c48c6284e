"""Options of TCP sockets as the kernel takes them.

Responsible for turning the model's options into calls on a socket. Knows nothing of who owns the socket. Shared by the
supervisor, whose listening sockets hand their options on to accepted ones (so that accepting costs nothing more), and by
whoever dials a server. Source: tcp(7), ip(7).

Invariant: an option that this kernel does not have leaves the connection without it and ends nothing.
"""

from __future__ import annotations

import socket
from typing import Final

from lbapp.model.limits import DEFER_ACCEPT_S, FASTOPEN_QUEUE_MAX
from lbapp.model.transport import ListenerTransport, TcpOptions

_IP_BIND_ADDRESS_NO_PORT: Final = 24  # of linux/in.h; Python has no name for it

Option = tuple[int, int, int]


def tcp_options(options: TcpOptions) -> tuple[Option, ...]:
    """Return the (level, name, value) of what every connection of a listener or to a pool gets."""
    chosen: list[Option] = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if options.keepalive:
        chosen += [
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(options.keepalive_idle_s)),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, int(options.keepalive_interval_s)),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, options.keepalive_count),
        ]
    if options.user_timeout_s:
        chosen.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(options.user_timeout_s * 1000))))
    return tuple(chosen)


def listening_options(transport: ListenerTransport) -> tuple[Option, ...]:
    """Return what a listening TCP socket gets; accepted sockets inherit all but the last two."""
    chosen = tcp_options(transport.tcp)
    if transport.fastopen:
        chosen += ((socket.IPPROTO_TCP, socket.TCP_FASTOPEN, FASTOPEN_QUEUE_MAX),)
    if transport.defer_accept:
        chosen += ((socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT_S),)
    return chosen


# What a listening socket has before anybody asks for more.
DEFAULTS: tuple[Option, ...] = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0),
    (socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 0),
    (socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 0),
)


def apply(sock: socket.socket, options: tuple[Option, ...]) -> None:
    """Set options."""
    for level, name, value in options:
        try:
            sock.setsockopt(level, name, value)
        except OSError:
            continue


def bind_source(sock: socket.socket, source: str) -> None:
    """Make a connection come from `source`, of the socket's own family. Raises OSError.

    The port is chosen when it connects: by then the destination is known, and ports are not used up by destinations that
    they are not needed for.
    """
    apply(sock, ((socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1),))
    sock.bind((source, 0))
