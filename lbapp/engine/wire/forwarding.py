"""Who the client is, for servers and for hashing.

Responsible for the fields that tell a server whose request it gets, and for the key by which a client is known. Knows
nothing of sockets. Source: the X-Forwarded fields are a convention, not a standard. Invariant: a line made here holds nothing
that a client wrote: an address is parsed before it is written.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_LOOPBACK: Final = IPv4Address("127.0.0.1")


def client_address(peer: object) -> IPv4Address | IPv6Address | None:
    """Return the address of a peer as `accept` gives it, an IPv4 one that came over IPv6 as IPv4; None over a Unix socket."""
    host = peer[0] if isinstance(peer, tuple) else ""
    if not host:
        return None
    return plain_address(ip_address(host.partition("%")[0]))


def plain_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return an IPv4 address that was written as an IPv6 one as what it is; any other as it came."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def client_key(address: IPv4Address | IPv6Address | None) -> bytes:
    """Return what a client is hashed by: its packed address; the loopback's over a Unix socket."""
    return (address or _LOOPBACK).packed


def forwarding_lines(address: IPv4Address | IPv6Address | None, scheme: str) -> bytes:
    """Return the ready-made lines for every request of a connection, each ended by CRLF. `scheme`: http or https."""
    host = "unix:" if address is None else str(address)
    return f"X-Forwarded-For: {host}\r\nX-Forwarded-Proto: {scheme}\r\n".encode("ascii")
