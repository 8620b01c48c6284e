from __future__ import annotations

from dataclasses import replace

import pytest

from lbapp.cluster.handoff.ring import Ring
from lbapp.model.handoff import HandoffSettings

FOUR = tuple((f"l{at}", f"10.77.{at}.2") for at in range(1, 5))


def ring(node: str = "l1", members: int = 3, **other: object) -> Ring:
    settings = HandoffSettings(node, ("198.51.100.10", "2001:db8:77::10"), FOUR[:members])
    return Ring(replace(settings, **other))  # type: ignore[arg-type]


@pytest.mark.parametrize("members", [2, 3, 4])
def test_every_node_is_reached_from_every_other_one_and_none_twice(members: int) -> None:
    names = [name for name, _ in FOUR[:members]]
    for start in names:
        way = [start]
        for _ in ring(start, members).hops:
            way.append(ring(way[-1], members).next[0])
        assert sorted(way) == names


def test_a_hop_leads_to_the_device_that_the_next_node_has_for_it() -> None:
    for here, there in (("l1", "l2"), ("l2", "l3"), ("l3", "l1")):
        for mine, its in zip(ring(here).hops, ring(there).hops, strict=True):
            assert (mine.next_mac, mine.next4, mine.next6) == (
                its.mac,
                its.address4.partition("/")[0],
                its.address6.partition("/")[0],
            )
            assert mine.vni == its.vni


def test_hops_share_neither_network_nor_address() -> None:
    hops = ring("l1", 4).hops
    assert len({hop.vni for hop in hops}) == len({hop.device for hop in hops}) == len({hop.next4 for hop in hops}) == 3


def test_what_opens_or_ends_a_connection_is_never_handed_on() -> None:
    rules = ring().rules()
    for table in rules.split("table ip")[1:]:
        if "handed1" in table:
            assert table.index("tcp flags & (syn | rst) != 0 accept") < table.index("dup to")
            assert table.index("ct state != invalid ct expiration > 10s accept") < table.index("dup to")


def test_the_last_hop_hands_nothing_on() -> None:
    rules = ring().rules()
    assert rules.index('iifname "lbapp-hop2" counter name unknown accept') < rules.index('iifname "lbapp-hop1"')
    assert rules.count("dup to") == 4  # two hops, two versions of IP


def test_while_it_learns_nothing_is_handed_on() -> None:
    for table in ring().rules(is_learning=True).split("table ip")[1:]:
        if "dup to" in table:
            assert table.index("    accept\n") < table.index("dup to")


def test_a_version_of_ip_that_clients_do_not_use_has_no_rules() -> None:
    only4 = ring(addresses=("198.51.100.10",))
    assert "ip6 daddr" not in only4.rules()
    assert not any("-6" in command for command in only4.ways())


def test_what_comes_from_no_node_is_dropped_by_its_network_whichever_address_it_is_sent_to() -> None:
    members = tuple((name, f"fd77:{at}::2") for at, (name, _) in enumerate(FOUR[:3], 1))
    ours = "udp dport 4789 @th,96,24 { 7741, 7742 }"
    rules = ring().rules()
    assert f"    {ours} ip saddr != {{ 10.77.2.2, 10.77.3.2 }} counter drop\n" in rules
    assert f"    meta nfproto ipv6 {ours} counter drop\n" in rules
    rules = Ring(replace(ring().settings, members=members)).rules()
    assert f"    {ours} ip6 saddr != {{ fd77:2::2, fd77:3::2 }} counter drop\n" in rules
    assert f"    meta nfproto ipv4 {ours} counter drop\n" in rules
