"""The file of `lbapp announce`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbapp.config.announce import AnnounceDocument, load_announce, parse_announce
from lbapp.model.announce import (
    AnnounceSettings,
    BgpSettings,
    Ecmp,
    KeepalivedSettings,
    Neighbor,
    RouteBackend,
    RouteDrain,
)
from lbapp.model.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
HEAD = 'backend = "bird"\naddresses = ["198.51.100.10"]\n'
BGP = '[bgp]\nrouter_id = "10.0.0.1"\nasn = 64511\n'
NEIGHBOR = '[[bgp.neighbor]]\naddress = "10.0.0.9"\nasn = 64500\nlocal_address = "10.0.0.1"\n'
VRRP = '[keepalived]\ninterface = "eth0"\nsource = "10.0.0.1"\npeers = ["10.0.0.2"]\n'


def read(text: str) -> AnnounceSettings:
    return parse_announce(text, "f")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_two_lines_are_enough_for_a_bird_with_a_configuration_of_its_own() -> None:
    found = read(HEAD)
    assert found == AnnounceSettings(RouteBackend.BIRD, ("198.51.100.10",))
    assert (found.rise, found.fall, found.interval_s, found.hold_down_s) == (2, 3, 1.0, 10.0)
    assert (found.drain, found.med, found.ecmp, found.bgp) == (RouteDrain.MED, 100, Ecmp.PLAIN, None)


def test_sessions_have_bfd_where_the_backend_speaks_it() -> None:
    neighbor = Neighbor("10.0.0.9", 64500, "10.0.0.1")
    assert read(HEAD + BGP + NEIGHBOR).bgp == BgpSettings("10.0.0.1", 64511, (neighbor,), 9, bfd=True)
    exabgp = read((HEAD + BGP + NEIGHBOR).replace('"bird"', '"exabgp"')).bgp
    assert exabgp is not None
    assert not exabgp.bfd


def test_an_address_may_have_the_length_of_one_and_is_written_one_way() -> None:
    found = read('backend = "bird"\naddresses = ["198.51.100.10/32", "2001:DB8:0::10/128"]\n')
    assert found.addresses == ("198.51.100.10", "2001:db8::10")


def test_keepalived_moves_one_address_at_a_time() -> None:
    found = read(HEAD.replace('"bird"', '"keepalived"') + VRRP)
    assert found.ecmp is Ecmp.SINGLE
    assert found.keepalived == KeepalivedSettings("eth0", 51, "10.0.0.1", ("10.0.0.2",))


def test_a_fast_interval_is_never_the_slower_one() -> None:
    assert read(HEAD + 'interval = "100ms"\n').fast_interval_s == 0.1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["f: backend: this key is missing", "f: addresses: this key is missing"]),
        (HEAD + "fal = 3\n", ['f:3: fal: unknown key "fal"; did you mean "fall"?']),
        (HEAD.replace("bird", "frr"), ["f:1: backend: 'frr' is not known; allowed: 'bird', 'exabgp' or 'keepalived'"]),
        (HEAD + 'drain = "no"\n', ["f:3: drain: 'no' is not known; allowed: 'med' or 'withdraw'"]),
        (HEAD + 'interval = "1ms"\n', ['f:3: interval: \'1ms\' is out of range; allowed: "50ms" to "1m"']),
        (HEAD + "[exabgp]\n", ["f:3: exabgp: the backend is bird, which has no use for this; remove the table"]),
        (
            HEAD.replace('"bird"', '"exabgp"'),
            ["f:1: backend: exabgp needs the table [bgp]: its own number and its neighbors"],
        ),
        (
            HEAD.replace('"bird"', '"keepalived"'),
            ["f:1: backend: keepalived needs the table [keepalived]: its interface, its own address and its peers"],
        ),
        (HEAD + BGP, ["f:3: bgp: there is no neighbor; allowed: one or more, each under [[bgp.neighbor]]"]),
        (
            HEAD.replace('"bird"', '"exabgp"') + BGP + "bfd = true\n" + NEIGHBOR,
            ["f:6: bgp.bfd: ExaBGP speaks no BFD; remove this, or take bird as the backend"],
        ),
        (
            HEAD.replace('"198.51.100.10"', '"2001:db8::10"') + BGP + NEIGHBOR,
            [
                "f:2: addresses: no session carries IPv6: give the neighbor next_hop_ipv6, this node's own address, "
                "or another neighbor"
            ],
        ),
        (
            HEAD + BGP + NEIGHBOR.replace("10.0.0.9", "fd00::9"),
            [
                "f:2: addresses: no session carries IPv4: give this node a neighbor with an IPv4 address",
                "f:9: bgp.neighbor[0].local_address: this is of another family than the neighbor's address; give one of the same",
            ],
        ),
    ],
)
def test_what_cannot_be_is_named_with_its_line(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("addresses", "sentence"),
    [
        ("[]", "allowed: a list of 1 to 16 addresses"),
        ('"198.51.100.10"', "allowed: a list of 1 to 16 addresses"),
        ('["lb.example.com"]', "is not an address"),
        ('["198.51.100.0/24"]', "is more than one address"),
        ('["198.51.100.10/24"]', "is more than one address"),
        ('["2001:db8::10/64"]', "is more than one address"),
        ('["198.51.100.10/x"]', "is more than one address"),
        ('["198.51.100.10", "198.51.100.10/32"]', "stands here twice"),
        ('["127.0.0.1"]', "no address that others can send to"),
        ('["::"]', "no address that others can send to"),
        ("[1]", "is not an address"),
    ],
)
def test_an_address_that_no_client_can_have_is_refused(addresses: str, sentence: str) -> None:
    (problem,) = problems(f'backend = "bird"\naddresses = {addresses}\n')
    assert problem.startswith("f:2: addresses")
    assert sentence in problem


OVER_IPV6 = NEIGHBOR.replace("10.0.0.9", "fe80::9%eth0.7").replace("10.0.0.1", "fe80::1%eth0.7")


def test_an_address_of_a_link_names_its_interface() -> None:
    found = read(HEAD + BGP + NEIGHBOR + OVER_IPV6).bgp
    assert found is not None
    assert found.neighbors[1] == Neighbor("fe80::9%eth0.7", 64500, "fe80::1%eth0.7")


@pytest.mark.parametrize(
    ("own", "its", "key", "sentence"),
    [
        ("fe80::1", "fe80::9", "address", "this is of no interface yet"),
        ("fe80::1%eth1", "fe80::9%eth0", "local_address", "of another interface than the neighbor's"),
    ],
)
def test_an_address_of_a_link_is_of_one_interface(own: str, its: str, key: str, sentence: str) -> None:
    (problem,) = problems(HEAD + BGP + NEIGHBOR + NEIGHBOR.replace("10.0.0.9", its).replace("10.0.0.1", own))
    assert problem.split(": ")[1] == f"bgp.neighbor[1].{key}"
    assert sentence in problem
    by_exabgp = problems(HEAD.replace('"bird"', '"exabgp"') + BGP + NEIGHBOR + OVER_IPV6)
    assert [problem.split(": ")[1] for problem in by_exabgp] == ["bgp.neighbor[1].address"]
    assert "ExaBGP reaches no neighbor by an address of a link" in by_exabgp[0]
    one_is_enough = NEIGHBOR.replace("10.0.0.9", "fe80::9").replace("10.0.0.1", "fe80::1%eth0")
    assert read(HEAD + BGP + NEIGHBOR + one_is_enough).bgp is not None


@pytest.mark.parametrize("scope", ["eth0 as 1", "eth0; }", "a\\nb", "{", "e" * 16, "lo#", "ä"])
def test_what_is_no_interface_gets_into_no_daemons_file(scope: str) -> None:
    found = problems(HEAD + BGP + NEIGHBOR + OVER_IPV6.replace("eth0.7", scope))
    assert [problem.split(": ")[1] for problem in found] == ["bgp.neighbor[1].address", "bgp.neighbor[1].local_address"]
    assert all("after % the name of an interface is allowed" in problem for problem in found)
    vrrp = VRRP.replace('"10.0.0.1"', f'"fe80::1%{scope}"').replace('"10.0.0.2"', f'"fe80::2%{scope}"')
    text = HEAD.replace('"bird"', '"keepalived"').replace("198.51.100.10", "2001:db8::10") + vrrp
    assert [problem.split(": ")[1] for problem in problems(text)] == ["keepalived.source", "keepalived.peers"]


@pytest.mark.parametrize("next_hop", ["fe80::1%eth0", "10.0.0.1"])
def test_a_next_hop_is_an_address_of_ipv6_without_an_interface(next_hop: str) -> None:
    (problem,) = problems(HEAD + BGP + NEIGHBOR + f'next_hop_ipv6 = "{next_hop}"\n')
    assert "bgp.neighbor[0].next_hop_ipv6" in problem
    assert "allowed: an address of IPv6 without an interface" in problem


@pytest.mark.parametrize("key", ["track_file", "fifo"])
@pytest.mark.parametrize("path", ["/run/a b", "/run/{a}", "/run/a;", "/run/#a", "/run/ä", "run/a"])
def test_a_path_in_keepaliveds_file_is_of_plain_letters(key: str, path: str) -> None:
    (problem,) = problems(HEAD.replace('"bird"', '"keepalived"') + VRRP + f'{key} = "{path}"\n')
    assert problem.startswith(f"f:7: keepalived.{key}: ")


def test_keepalived_speaks_one_family_and_no_bgp() -> None:
    text = HEAD.replace('"bird"', '"keepalived"') + "med = 5\n" + VRRP.replace("10.0.0.2", "fd00::2")
    assert [problem.split(": ")[1] for problem in problems(text)] == ["med", "keepalived.peers"]
    (problem,) = problems(HEAD.replace('"bird"', '"keepalived"').replace("198.51.100.10", "2001:db8::1") + VRRP)
    assert "VRRP over IPv4 carries an IPv4 address at the least" in problem
    own = VRRP.replace('["10.0.0.2"]', '["10.0.0.2", "10.0.0.1"]')
    (problem,) = problems(HEAD.replace('"bird"', '"keepalived"') + own)
    assert "this node is no peer of its own" in problem


def test_all_problems_are_found_in_one_run() -> None:
    text = 'backend = "bird"\naddresses = ["x"]\nrise = 0\nmed = -1\n[bgp]\nrouter_id = "::1"\nasn = 0\nneighbor = 3\n'
    assert len(problems(text)) == 6


def test_the_sample_file_has_every_key(tmp_path: Path) -> None:
    sample = ROOT / "conf/announce.toml"
    assert load_announce(sample).backend is RouteBackend.BIRD
    text = sample.read_text()
    schema = AnnounceDocument.model_json_schema()
    for table in (schema, *schema["$defs"].values()):
        for key in table.get("properties", {}):
            assert re.search(rf"(^|^# |[\[.]){key}( =|\])", text, re.MULTILINE), key
