"""Who the client is, for servers and for hashing.

Responsible for the fields that tell a server whose request it gets, for the key by which a client is known, and for what is
believed of what a peer says of others. Knows nothing of sockets. Sources: RFC 7239 (Forwarded), RFC 9110 section 7.6.3 (Via);
the X-Forwarded fields are a convention, not a standard.

Invariants: what a peer that is not trusted says of the client never goes on; what is made of a trusted one's fields is parsed
before it is written, but for the entries of a list to the left of ours, which go on as they came.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from lbapp.engine.wire.host import is_sound_host
from lbapp.model.actions import Forwarding
from lbapp.model.limits import PROXIES_MAX

Address = IPv4Address | IPv6Address

# RFC 9110 section 7.6.3 asks every gateway for it; a second line of the name continues the list.
VIA: Final = b"Via: 1.1 lbapp\r\n"
VIA_OF_10: Final = b"Via: 1.0 lbapp\r\n"
_DEFAULT: Final = Forwarding()
_LOOPBACK: Final = IPv4Address("127.0.0.1")
_PORT_DIGITS_MAX: Final = 5
_lines: Final = re.compile(rb"([^:\n]++):([^\r]*+)\r\n").findall
_match_hop: Final = re.compile(
    rb"([0-9.]{7,15}+)(?::[0-9]{1,5}+)?|\[([0-9A-Fa-f:.]{2,45}+)\](?::[0-9]{1,5}+)?|([0-9A-Fa-f:.]{2,45}+)"
).fullmatch


def client_address(peer: object) -> Address | None:
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


def client_key(address: Address | None) -> bytes:
    """Return what a client is hashed by: its packed address; the loopback's over a Unix socket."""
    return (address or _LOOPBACK).packed


def forwarding_lines(address: Address | None, scheme: str, settings: Forwarding = _DEFAULT) -> bytes:
    """Return the ready-made lines for every request of a connection, each ended by CRLF. `scheme`: http or https."""
    host = "unix:" if address is None else str(address)
    lines = f"X-Forwarded-For: {host}\r\nX-Forwarded-Proto: {scheme}\r\n"
    return lines.encode("ascii") + _standard_lines(address, scheme, settings)


def _standard_lines(address: Address | None, scheme: str, settings: Forwarding) -> bytes:
    lines = ""
    if settings.forwarded:
        node = "unknown" if address is None else f'"[{address}]"' if address.version == 6 else str(address)
        lines = f"Forwarded: for={node};proto={scheme}\r\n"
    if settings.via:
        lines += VIA.decode()
    return lines.encode("ascii")


class Received(NamedTuple):
    """What a trusted peer said: who the client is, how it came, for which host (empty: as in Host), and the lines to send on."""

    address: Address
    scheme: str
    host: bytes
    lines: bytes


def is_trusted(address: Address | None, settings: Forwarding) -> bool:
    """Say whether a peer is believed when it says who its client is."""
    return address is not None and any(address in network for network in settings.trusted_proxies)


def believe(peer: Address, scheme: str, settings: Forwarding, block: bytes) -> Received:
    """Take in what the trusted `peer` says in `block`, the forwarding fields of one request, line by line as they came.

    The client is the rightmost address of X-Forwarded-For that is not itself trusted, as everything to its left may be made up.
    """
    said: dict[bytes, list[bytes]] = {}
    for name, value in _lines(block):
        said.setdefault(name.lower(), []).append(value.strip(b" \t"))
    hops = b", ".join(value for value in said.get(b"x-forwarded-for", []) if value)
    client = _client(peer, settings, hops)
    proto = _last(said, b"x-forwarded-proto").lower()
    known_scheme = proto.decode() if proto in (b"http", b"https") else scheme
    host, port = _last(said, b"x-forwarded-host"), _last(said, b"x-forwarded-port")
    lines = b"X-Forwarded-For: %b%b\r\n" % (hops + b", " if hops else b"", str(peer).encode())
    lines += f"X-Forwarded-Proto: {known_scheme}\r\n".encode()
    if port.isdigit() and len(port) <= _PORT_DIGITS_MAX:
        lines += b"X-Forwarded-Port: %b\r\n" % port
    if b"x-real-ip" in said:
        lines += f"X-Real-IP: {client}\r\n".encode()
    if settings.forwarded:
        lines += b"".join(b"Forwarded: %b\r\n" % value for value in said.get(b"forwarded", []))
    lines += _standard_lines(peer, scheme, settings)
    return Received(client, known_scheme, host if is_sound_host(host) else b"", lines)


def _client(peer: Address, settings: Forwarding, hops: bytes) -> Address:
    client = peer
    for hop in reversed(hops.split(b",")[-PROXIES_MAX:]):
        address = _hop_address(hop.strip(b" \t"))
        if address is None:
            break
        client = address
        if not is_trusted(address, settings):
            break
    return client


def _hop_address(hop: bytes) -> Address | None:
    """Return the address of an entry, with or without a port; None when it is none."""
    match = _match_hop(hop)
    if match is None:
        return None
    try:
        address = ip_address((match[1] or match[2] or match[3]).decode("ascii"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _last(said: dict[bytes, list[bytes]], name: bytes) -> bytes:
    """Return the last entry of a field: what the nearest proxy said."""
    return said[name][-1].rpartition(b",")[2].strip(b" \t") if name in said else b""
