"""Who counts as one client, and the lists of networks, against the library's own arithmetic."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.admission import Gate, Network, Networks, client_network

ADDRESSES = st.ip_addresses()


@st.composite
def network_strategy(draw: st.DrawFn) -> Network:
    address = draw(ADDRESSES)
    length = draw(st.integers(0, address.max_prefixlen))
    return ip_network(f"{address}/{length}", strict=False)


NETWORKS = st.lists(network_strategy(), max_size=8)


def contains(network: Network, address: IPv4Address | IPv6Address) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(address, IPv4Address) and address in network
    return isinstance(address, IPv6Address) and address in network


@given(NETWORKS, ADDRESSES)
def test_address_is_in_the_set_when_it_is_in_one_of_the_networks(
    networks: list[Network], address: IPv4Address | IPv6Address
) -> None:
    assert (address in Networks(networks)) == any(contains(each, address) for each in networks)


@given(NETWORKS)
def test_first_and_last_address_of_every_network_are_in_the_set(networks: list[Network]) -> None:
    found = Networks(networks)
    assert bool(found) == bool(networks)
    for network in networks:
        assert network[0] in found
        assert network[-1] in found


def test_ipv4_network_does_not_hold_the_ipv6_address_of_the_same_number() -> None:
    assert ip_address("::10.0.0.1") not in Networks([IPv4Network("10.0.0.0/8")])
    assert ip_address("0.0.0.1") not in Networks([IPv6Network("::/96")])


def test_gate_without_lists_is_open_to_everybody() -> None:
    assert Gate((), ()).is_open_to(ip_address("192.0.2.1"))


def test_deny_wins_over_allow_and_allow_keeps_out_who_is_not_in_it() -> None:
    gate = Gate((ip_network("10.0.0.0/8"),), (ip_network("10.1.0.0/16"),))
    assert gate.is_open_to(ip_address("10.0.0.1"))
    assert not gate.is_open_to(ip_address("10.1.0.1"))
    assert not gate.is_open_to(ip_address("192.0.2.1"))
    assert not gate.is_open_to(ip_address("2001:db8::1"))


def test_client_is_one_ipv4_address_or_one_ipv6_network_of_64_bits() -> None:
    assert client_network(ip_address("192.0.2.1")) != client_network(ip_address("192.0.2.2"))
    assert client_network(ip_address("2001:db8::1")) == client_network(ip_address("2001:db8::ffff:1"))
    assert client_network(ip_address("2001:db8::1")) != client_network(ip_address("2001:db8:0:1::1"))
