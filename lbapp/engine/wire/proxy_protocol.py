"""The PROXY protocol: who a connection came from, said by a proxy in front of it, or by us to a server.

Responsible for reading a header of version 1 (a line) or 2 (binary) and for building either. Knows nothing of sockets, of who may
be believed or of what the addresses are used for. Source: "The PROXY protocol, Versions 1 & 2", HAProxy project, 2020/03/05.

Both versions are told apart by their first bytes, and by nothing else: whether a header has to be there is never guessed, but
known to the caller. Where the specification leaves a choice: an address has one spelling (no leading zeros, no zones), bytes
behind the addresses have to be whole TLVs, a checksum that is there has to hold, and a header has a size limit.

Invariants: no byte behind a header is taken for a part of it; whatever is read can be built, and the other way round; a refusal
comes as soon as no acceptable header can follow.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from lbapp.model.limits import PROXY_HEADER_BYTES_MAX

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
V1_BYTES_MAX: Final = 107
_V1_START: Final = b"PROXY "
_V2_HEAD: Final = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21  # version 2 in the upper four bits, the command in the lower
_STREAM: Final = 0x1
_UNSPEC, _INET, _INET6, _UNIX = 0x00, 0x10, 0x20, 0x30
_FAMILIES: Final = frozenset((0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32))
_INET_BLOCK: Final = struct.Struct("!4s4sHH")
_INET6_BLOCK: Final = struct.Struct("!16s16sHH")
_UNIX_BLOCK: Final = struct.Struct("!108s108s")
_TLV_CRC32C: Final = 0x03
_match_v1: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*+)?"
    rb"|TCP(?:(4)|6) ([0-9A-Fa-f:.]{2,45}+) ([0-9A-Fa-f:.]{2,45}+) (0|[1-9][0-9]{0,4}+) (0|[1-9][0-9]{0,4}+))\r\n"
).match


class BadProxyHeader(Exception):
    """The bytes are no PROXY header. `reason` is a short sentence that quotes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class InetEnd:
    """One end of a TCP connection."""

    address: IPv4Address | IPv6Address
    port: int


@dataclass(frozen=True, slots=True)
class UnixEnd:
    """One end of a connection over a Unix socket; `path` is empty where it has no name, and begins with NUL in the abstract."""

    path: bytes


End = InetEnd | UnixEnd


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a header says. `is_local`: the proxy speaks for itself, as in its health checks.

    `source` and `destination` are the client's connection to the proxy, both of one family; None where the header names none:
    then the connection itself is all there is to know.
    """

    is_local: bool = False
    source: End | None = None
    destination: End | None = None


def parse_proxy_header(data: bytes) -> tuple[ProxyHeader, int] | None:
    """Read a header from the start of `data`: it and the offset behind it, or None when more bytes are needed.

    Raises BadProxyHeader. Never needs more than PROXY_HEADER_BYTES_MAX bytes.
    """
    if data.startswith(SIGNATURE):
        return _parse_v2(data)
    if data.startswith(_V1_START):
        return _parse_v1(data)
    if SIGNATURE.startswith(data) or _V1_START.startswith(data):
        return None
    raise BadProxyHeader("the connection does not begin with a PROXY header")


def _parse_v1(data: bytes) -> tuple[ProxyHeader, int] | None:
    end = data.find(b"\n", 0, V1_BYTES_MAX) + 1
    if not end:
        if len(data) >= V1_BYTES_MAX:
            raise BadProxyHeader(f"the PROXY line is longer than {V1_BYTES_MAX} bytes")
        return None
    match = _match_v1(data)
    if match is None or match.end() != end:
        raise BadProxyHeader("the PROXY line is malformed")
    is_ipv4, source, destination, source_port, destination_port = match.groups()
    if source is None:
        return ProxyHeader(), end
    read = IPv4Address if is_ipv4 else IPv6Address
    try:
        return ProxyHeader(
            False,
            InetEnd(read(source.decode()), _port(source_port)),
            InetEnd(read(destination.decode()), _port(destination_port)),
        ), end
    except ValueError as error:
        raise BadProxyHeader("the PROXY line names no valid address or port") from error


def _port(digits: bytes) -> int:
    port = int(digits)
    if port > 0xFFFF:
        raise ValueError
    return port


def _parse_v2(data: bytes) -> tuple[ProxyHeader, int] | None:
    if len(data) < _V2_HEAD.size:
        return None
    _, command, family, length = _V2_HEAD.unpack_from(data)
    end = _V2_HEAD.size + length
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeader("the PROXY header has an unknown version or command")
    if end > PROXY_HEADER_BYTES_MAX:
        raise BadProxyHeader(f"the PROXY header is larger than {PROXY_HEADER_BYTES_MAX} bytes")
    if command == _PROXY and family not in _FAMILIES:
        raise BadProxyHeader("the PROXY header has an unknown address family")
    if len(data) < end:
        return None
    if command == _LOCAL:  # the rest of the header says nothing, its family included
        return ProxyHeader(is_local=True), end
    source, destination, tlvs_at = _ends(data[:end], family)
    _check_tlvs(data[:end], tlvs_at)
    return ProxyHeader(False, source, destination), end


def _ends(header: bytes, family: int) -> tuple[End | None, End | None, int]:
    """Return both ends and the offset behind them. Datagrams never came over this connection: their ends are passed over."""
    start = _V2_HEAD.size
    kind = family & 0xF0
    if kind == _UNSPEC:  # no addresses, and nothing that would say how long they are: what follows cannot be told apart
        return None, None, len(header)
    block = {_INET: _INET_BLOCK, _INET6: _INET6_BLOCK, _UNIX: _UNIX_BLOCK}[kind]
    if len(header) < start + block.size:
        raise BadProxyHeader("the PROXY header is too short for its addresses")
    behind = start + block.size
    if family & 0x0F != _STREAM:
        return None, None, behind
    if kind == _UNIX:
        return *(UnixEnd(_path(path)) for path in _UNIX_BLOCK.unpack_from(header, start)), behind  # type: ignore[return-value]
    source, destination, source_port, destination_port = block.unpack_from(header, start)
    read = IPv4Address if kind == _INET else IPv6Address
    return InetEnd(read(source), source_port), InetEnd(read(destination), destination_port), behind


def _path(field: bytes) -> bytes:
    """Return a path without its padding. An abstract name may hold NUL, but not end in it: the field does not tell its length."""
    return field.rstrip(b"\0") if field[:1] == b"\0" else field.partition(b"\0")[0]


def _check_tlvs(header: bytes, at: int) -> None:
    while at < len(header):
        if at + 3 > len(header):
            raise BadProxyHeader("a value in the PROXY header is cut short")
        kind, length = header[at], int.from_bytes(header[at + 1 : at + 3])
        start, at = at + 3, at + 3 + length
        if at > len(header):
            raise BadProxyHeader("a value in the PROXY header is longer than the header")
        if kind == _TLV_CRC32C:
            blank = header[:start] + bytes(length) + header[at:]
            if length != 4 or int.from_bytes(header[start:at]) != crc32c(blank):
                raise BadProxyHeader("the checksum of the PROXY header is wrong")


def build_v1(header: ProxyHeader) -> bytes:
    """Return the line of version 1; it knows TCP alone, so whatever else there is goes as UNKNOWN."""
    source, destination = header.source, header.destination
    if header.is_local or not isinstance(source, InetEnd) or not isinstance(destination, InetEnd):
        return b"PROXY UNKNOWN\r\n"
    line = (
        f"PROXY TCP{source.address.version} {source.address} {destination.address} {source.port} {destination.port}\r\n"
    )
    return line.encode("ascii")


def build_v2(header: ProxyHeader, *, has_checksum: bool = False) -> bytes:
    """Return the bytes of version 2, with a CRC32C if asked for. Both ends are of one family."""
    family, block = _block(header)
    command = _LOCAL if header.is_local else _PROXY
    length = len(block) + (7 if has_checksum else 0)
    built = _V2_HEAD.pack(SIGNATURE, command, family, length) + block
    if not has_checksum:
        return built
    built += bytes((_TLV_CRC32C, 0, 4))
    return built + crc32c(built + bytes(4)).to_bytes(4)


def _block(header: ProxyHeader) -> tuple[int, bytes]:
    source, destination = header.source, header.destination
    if isinstance(source, InetEnd) and isinstance(destination, InetEnd):
        ends = (source.address.packed, destination.address.packed, source.port, destination.port)
        if source.address.version == 4:
            return _INET | _STREAM, _INET_BLOCK.pack(*ends)
        return _INET6 | _STREAM, _INET6_BLOCK.pack(*ends)
    if isinstance(source, UnixEnd) and isinstance(destination, UnixEnd):
        return _UNIX | _STREAM, _UNIX_BLOCK.pack(source.path, destination.path)
    return _UNSPEC, b""


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC32C: Final = _crc32c_table()


def crc32c(data: bytes) -> int:
    """Return the Castagnoli checksum (RFC 3309 appendix B)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
