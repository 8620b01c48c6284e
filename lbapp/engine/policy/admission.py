"""Who a client is to a limit, and whether its network is let in.

Responsible for the lists of networks and for what counts as one client. Knows nothing of connections. Invariant: what an
address belongs to does not depend on the order or the number of networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_IPV6_CLIENT_BYTES: Final = 8  # one customer, who may use every address of the network


def client_network(address: Address) -> bytes:
    """Return what is limited as one client: an IPv4 address, or the /64 of an IPv6 one."""
    packed = address.packed
    return packed if len(packed) == 4 else packed[:_IPV6_CLIENT_BYTES]


class Networks:
    """A set of networks. A look takes as many steps as there are different lengths, however many networks there are."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._of_length: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            first = int(network.network_address) >> shift
            self._of_length.setdefault((network.version, shift), set()).add(first)

    def __contains__(self, address: Address) -> bool:
        number, version = int(address), address.version
        return any(of == version and number >> shift in firsts for (of, shift), firsts in self._of_length.items())

    def __bool__(self) -> bool:
        return bool(self._of_length)


class Gate:
    """The lists of one listener: who is in `deny` is kept out; where there is an `allow`, so is who is not in it."""

    def __init__(self, allow: Iterable[Network], deny: Iterable[Network]) -> None:
        self._allow = Networks(allow)
        self._deny = Networks(deny)

    def is_open_to(self, address: Address) -> bool:
        """Say whether a client may come in."""
        if address in self._deny:
            return False
        return not self._allow or address in self._allow
