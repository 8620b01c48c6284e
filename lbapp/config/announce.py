"""The file of `lbapp announce`: its keys, and what makes no sense between them.

Responsible for these keys and for turning them into the model. Knows nothing of the engine's file or of how a daemon is told.
Invariant: all problems are found in one run, each with its line; a file that is accepted has all that its backend needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from lbapp.config import values
from lbapp.config.addresses import (
    distant,
    host,
    host_of_no_link,
    interface,
    interface_of,
    ip,
    is_of_link,
    several,
    version_of,
)
from lbapp.config.document import parse_document, read_text
from lbapp.config.lines import Path as KeyPath
from lbapp.config.lines import tables_in
from lbapp.config.sentences import Found
from lbapp.config.table import Table
from lbapp.model.announce import (
    AnnounceSettings,
    BgpSettings,
    Ecmp,
    KeepalivedSettings,
    Neighbor,
    RouteBackend,
    RouteDrain,
)

_ADDRESSES_MAX: Final = 16
_PEERS_MAX: Final = 254
_DEFAULT: Final = AnnounceSettings(RouteBackend.BIRD, ())
_VRRP: Final = KeepalivedSettings()
_LENGTH: Final = re.compile(r"[0-9]{1,3}").fullmatch
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9_./-]+").fullmatch  # it stands in a daemon's own file
_BGP_BACKENDS: Final = {RouteBackend.BIRD.value, RouteBackend.EXABGP.value}


def _router_id(value: object) -> str:
    found = ip(value)
    if found.version != 4:
        raise ValueError(f"{values.shown(value)} is not an address of IPv4")
    return str(found)


def _next_hop(value: object) -> str:
    found = ip(value)
    if not isinstance(found, IPv6Address) or found.scope_id is not None:
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: an address of IPv6 without an interface")
    return str(found)


def _plain_path(value: object) -> str:
    path = values.file_path(value)
    if not _PLAIN_PATH(path):
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: a path of letters, digits and _ . / -")
    return path


def _vip(value: object) -> str:
    address, slash, length = value.partition("/") if isinstance(value, str) else ("", "", "")
    found = distant(address if slash else value)
    if slash and ip_network(found).prefixlen != _length(length):
        raise ValueError(f"{values.shown(value)} is more than one address; allowed: single ones, /32 and /128")
    return found


def _length(text: str) -> int:
    return int(text) if _LENGTH(text) else -1


def _seconds(least_s: float, most_s: float, allowed: str) -> Any:
    def read(value: object) -> float:
        seconds = values.duration_s(value)
        if not least_s <= seconds <= most_s:
            raise ValueError(f"{values.shown(value)} is out of range; allowed: {allowed}")
        return seconds

    return read


def _hold_time_s(value: object) -> int:
    seconds = values.duration_s(value)
    if seconds != int(seconds) or not 3 <= seconds <= 240:
        raise ValueError(f'{values.shown(value)} is not accepted; allowed: whole seconds, "3s" to "4m"')
    return int(seconds)


def _ecmp(value: object) -> Ecmp:
    found = values.word_of(Ecmp)(value)
    if found is Ecmp.SINGLE:
        raise ValueError("'single' is what keepalived makes it by itself; allowed: 'plain', 'resilient' or 'handoff'")
    return found


_Answers = Annotated[int, BeforeValidator(values.whole_number(1, 100))]
_Asn = Annotated[int, BeforeValidator(values.whole_number(1, 2**32 - 1))]
_Ip = Annotated[str, BeforeValidator(host)]
_Interface = Annotated[str, BeforeValidator(interface)]
_Vips = Annotated[tuple[str, ...], BeforeValidator(several(_vip, _ADDRESSES_MAX))]
_VrrpIp = Annotated[str, BeforeValidator(host_of_no_link)]
_Peers = Annotated[tuple[str, ...], BeforeValidator(several(host_of_no_link, _PEERS_MAX))]
_RouterId = Annotated[str, BeforeValidator(_router_id)]
_NextHop = Annotated[str, BeforeValidator(_next_hop)]
_File = Annotated[str, BeforeValidator(values.file_path)]
_PlainPath = Annotated[str, BeforeValidator(_plain_path)]
_Interval = Annotated[float, BeforeValidator(_seconds(0.05, 60, '"50ms" to "1m"'))]


class NeighborTable(Table):
    """`[[bgp.neighbor]]`."""

    address: _Ip
    asn: _Asn
    local_address: _Ip
    next_hop_ipv6: _NextHop | None = None


class BgpTable(Table):
    """`[bgp]`."""

    router_id: _RouterId
    asn: _Asn
    hold_time: Annotated[int, BeforeValidator(_hold_time_s)] = 9
    bfd: bool | None = None
    neighbor: list[NeighborTable] = Field(default_factory=list)

    def to_model(self, backend: RouteBackend) -> BgpSettings:
        """Return the sessions; BFD where the backend speaks it and nobody has said otherwise."""
        neighbors = tuple(
            Neighbor(each.address, each.asn, each.local_address, each.next_hop_ipv6) for each in self.neighbor
        )
        bfd = backend is RouteBackend.BIRD if self.bfd is None else self.bfd
        return BgpSettings(self.router_id, self.asn, neighbors, self.hold_time, bfd)


class BirdTable(Table):
    """`[bird]`."""

    socket: Annotated[str, BeforeValidator(values.socket_path)] = _DEFAULT.bird_socket


class ExabgpTable(Table):
    """`[exabgp]`."""

    command: _File | None = None


class KeepalivedTable(Table):
    """`[keepalived]`."""

    interface: _Interface
    source: _VrrpIp
    peers: _Peers
    virtual_router_id: Annotated[int, BeforeValidator(values.whole_number(1, 255))] = _VRRP.virtual_router_id
    priority: Annotated[int, BeforeValidator(values.whole_number(52, 253))] = _VRRP.priority
    advert_interval: Annotated[float, BeforeValidator(_seconds(0.01, 40, '"10ms" to "40s"'))] = _VRRP.advert_interval_s
    track_file: _PlainPath = _VRRP.track_file
    fifo: _PlainPath = _VRRP.fifo

    def to_model(self) -> KeepalivedSettings:
        """Return the settings."""
        return KeepalivedSettings(
            interface=self.interface,
            virtual_router_id=self.virtual_router_id,
            source=self.source,
            peers=self.peers,
            priority=self.priority,
            advert_interval_s=self.advert_interval,
            track_file=self.track_file,
            fifo=self.fifo,
        )


class AnnounceDocument(Table):
    """The whole file."""

    backend: Annotated[RouteBackend, BeforeValidator(values.word_of(RouteBackend))]
    addresses: _Vips
    rise: _Answers = _DEFAULT.rise
    fall: _Answers = _DEFAULT.fall
    interval: _Interval = _DEFAULT.interval_s
    fast_interval: _Interval = _DEFAULT.fast_interval_s
    hold_down: Annotated[float, BeforeValidator(_seconds(0, 3600, '"0s" to "1h"'))] = _DEFAULT.hold_down_s
    drain: Annotated[RouteDrain, BeforeValidator(values.word_of(RouteDrain))] = _DEFAULT.drain
    med: Annotated[int, BeforeValidator(values.whole_number(1, 2**32 - 1))] = _DEFAULT.med
    ecmp: Annotated[Ecmp, BeforeValidator(_ecmp)] = _DEFAULT.ecmp
    socket: Annotated[str, BeforeValidator(values.socket_path)] | None = _DEFAULT.socket
    bgp: BgpTable | None = None
    bird: BirdTable = Field(default_factory=BirdTable)
    exabgp: ExabgpTable = Field(default_factory=ExabgpTable)
    keepalived: KeepalivedTable | None = None

    def to_model(self) -> AnnounceSettings:
        """Return the settings. The rules between the keys have to hold."""
        return AnnounceSettings(
            backend=self.backend,
            addresses=self.addresses,
            rise=self.rise,
            fall=self.fall,
            interval_s=self.interval,
            fast_interval_s=min(self.fast_interval, self.interval),
            hold_down_s=self.hold_down,
            drain=self.drain,
            med=self.med,
            ecmp=Ecmp.SINGLE if self.backend is RouteBackend.KEEPALIVED else self.ecmp,
            socket=self.socket,
            bgp=None if self.bgp is None else self.bgp.to_model(self.backend),
            bird_socket=self.bird.socket,
            exabgp_command=self.exabgp.command,
            keepalived=_VRRP if self.keepalived is None else self.keepalived.to_model(),
        )


def load_announce(path: Path) -> AnnounceSettings:
    """Read the file of `lbapp announce`. Raises ConfigurationError with every problem found."""
    return parse_announce(read_text(path), str(path))


def parse_announce(text: str, file: str) -> AnnounceSettings:
    """Read it from its text; `file` is named in problems. Raises ConfigurationError."""
    return parse_document(text, file, AnnounceDocument, _rules).to_model()


def _rules(data: dict[str, Any]) -> Iterator[Found]:
    backend = data.get("backend")
    for table in ("bird", "exabgp", "keepalived"):
        if table in data and backend in {each.value for each in RouteBackend} - {table}:
            yield (table,), f"the backend is {backend}, which has no use for this; remove the table"
    if backend == RouteBackend.KEEPALIVED.value:
        yield from _keepalived_rules(data)
    elif backend in _BGP_BACKENDS:
        yield from _bgp_rules(data, backend)


def _keepalived_rules(data: dict[str, Any]) -> Iterator[Found]:
    if "keepalived" not in data:
        yield ("backend",), "keepalived needs the table [keepalived]: its interface, its own address and its peers"
    for key in ("bgp", "ecmp", "med"):
        if key in data:
            yield (key,), "keepalived moves an address by VRRP, without BGP; remove this"
    table = data.get("keepalived")
    if not isinstance(table, dict):
        return
    version = version_of(table.get("source"))
    peers, addresses = table.get("peers"), data.get("addresses")
    if version and isinstance(peers, list) and {version_of(each) for each in peers} - {version, None}:
        yield ("keepalived", "peers"), "the nodes speak one family to each other; give peers of the source's own"
    if isinstance(peers, list) and table.get("source") in peers:
        yield ("keepalived", "peers"), "this node is no peer of its own; remove its source from them"
    if version and isinstance(addresses, list) and version not in {version_of(each) for each in addresses}:
        yield (
            ("keepalived", "source"),
            f"VRRP over IPv{version} carries an IPv{version} address at the least; there is none",
        )


def _bgp_rules(data: dict[str, Any], backend: str) -> Iterator[Found]:
    bgp = data.get("bgp")
    if bgp is None:
        if backend == RouteBackend.EXABGP.value:
            yield ("backend",), "exabgp needs the table [bgp]: its own number and its neighbors"
        return
    if not isinstance(bgp, dict):
        return
    if bgp.get("bfd") is True and backend == RouteBackend.EXABGP.value:
        yield ("bgp", "bfd"), "ExaBGP speaks no BFD; remove this, or take bird as the backend"
    neighbors = list(tables_in(bgp, ("bgp",), "neighbor"))
    if bgp.get("neighbor", []) == []:
        yield ("bgp",), "there is no neighbor; allowed: one or more, each under [[bgp.neighbor]]"
    for path, neighbor in neighbors:
        yield from _neighbor_rules(path, neighbor)
        yield from _link_rules(path, neighbor, backend)
    addresses = data.get("addresses")
    wanted = {version_of(each) for each in addresses} if isinstance(addresses, list) else set()
    lacking = wanted - {version for _, neighbor in neighbors for version in _carried(neighbor)}
    if neighbors and 6 in lacking:
        sentence = (
            "no session carries IPv6: give the neighbor next_hop_ipv6, this node's own address, or another neighbor"
        )
        yield ("addresses",), sentence
    if neighbors and 4 in lacking:
        yield ("addresses",), "no session carries IPv4: give this node a neighbor with an IPv4 address"


def _neighbor_rules(path: KeyPath, neighbor: dict[str, Any]) -> Iterator[Found]:
    version, own = version_of(neighbor.get("address")), version_of(neighbor.get("local_address"))
    if version and own and version != own:
        yield (*path, "local_address"), "this is of another family than the neighbor's address; give one of the same"
    if version == 6 and "next_hop_ipv6" in neighbor:
        yield (*path, "next_hop_ipv6"), "a session over IPv6 has its own; remove this"


def _link_rules(path: KeyPath, neighbor: dict[str, Any], backend: str) -> Iterator[Found]:
    """Yield what does not hold of addresses that are of one link alone."""
    address = neighbor.get("address")
    links = {interface_of(neighbor.get(key)) for key in ("address", "local_address")} - {""}
    if backend == RouteBackend.EXABGP.value and (links or is_of_link(address)):
        yield (
            (*path, "address"),
            "ExaBGP reaches no neighbor by an address of a link; give one of its others, or take bird",
        )
    elif len(links) > 1:
        yield (*path, "local_address"), "this is of another interface than the neighbor's address; name the same one"
    elif not links and is_of_link(address):
        yield (*path, "address"), 'this is of no interface yet, and may be at each; write such as "fe80::9%eth0"'


def _carried(neighbor: dict[str, Any]) -> set[int | None]:
    return {version_of(neighbor.get("address")), *((6,) if "next_hop_ipv6" in neighbor else ())}
