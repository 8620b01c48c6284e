"""What the kernel of one node has to be told, so that connections outlive a change of routes.

Responsible for the devices, addresses and rules of the ring, as values. Knows nothing of how the kernel is told.

How it works: a router that spreads clients over nodes sends packets of established connections to another node as soon as
the set of nodes changes. A node that gets a packet in the midst of a TCP connection that it does not know hands it on to the
next node of the ring, inside VXLAN; the one that knows it answers the client directly. Each hop has a network of its own
(vni + hop), so that nothing of the packet is used up to count them. After the last hop it is answered as always: with a reset.
The idea is GLB's second chance (github.com/github/glb-director, docs/development/second-chance-design.md).

Invariants: a packet makes at most one hop less than there are nodes; a packet that opens a connection is never handed on; nobody
but a node of the ring can put a packet into it; what is over at one node does not keep a packet from the node that has it now; of
what was there before only four settings of connection tracking are changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from lbapp.model.handoff import HandoffSettings

TABLE: Final = "lbapp_handoff"
DEVICE: Final = "lbapp-hop"  # with the number of the hop
_OVER_S: Final = 10
# Connections that are met in their midst are not known. Those that are known stay so: a segment outside of its window that was
# handed on would come back as a reset. One that is over is remembered for so long, and for longer in any other state: so it is
# told apart.
STRICT: Final = {
    "net/netfilter/nf_conntrack_tcp_loose": "0",
    "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
    "net/netfilter/nf_conntrack_tcp_timeout_time_wait": f"{_OVER_S}",
    "net/netfilter/nf_conntrack_tcp_timeout_close": f"{_OVER_S}",
}
LEARNING: Final = {**STRICT, "net/netfilter/nf_conntrack_tcp_loose": "1"}
DEFAULT: Final = {
    "net/netfilter/nf_conntrack_tcp_loose": "1",
    "net/netfilter/nf_conntrack_tcp_be_liberal": "0",
    "net/netfilter/nf_conntrack_tcp_timeout_time_wait": "120",
    "net/netfilter/nf_conntrack_tcp_timeout_close": "10",
}
_MTU: Final = (
    1500  # of what is handed on: a packet that does not fit into the way between nodes goes there in fragments
)
_FAMILIES: Final = ((4, "ip"), (6, "ip6"))  # each version of IP, and what nftables calls it and its fields
_LOOSE_FILTER: Final = "2"  # the source of what is handed on is a client, reached by another device


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop's device on this node, and its neighbour: the next node of the ring."""

    device: str
    mac: str
    next_mac: str
    address4: str
    next4: str
    address6: str
    next6: str
    vni: int


@dataclass(frozen=True, slots=True)
class Ring:
    """The place of one node in the ring."""

    settings: HandoffSettings

    @property
    def index(self) -> int:
        """The place of this node, from 0."""
        return [name for name, _ in self.settings.members].index(self.settings.node)

    @property
    def own(self) -> str:
        """The address at which the others reach this node."""
        return self.settings.members[self.index][1]

    @property
    def next(self) -> tuple[str, str]:
        """The name and the address of the next node."""
        return self.settings.members[(self.index + 1) % len(self.settings.members)]

    @property
    def hops(self) -> list[Hop]:
        """The hops that a packet can make, in order."""
        here, there = self.index + 1, (self.index + 1) % len(self.settings.members) + 1
        return [
            Hop(
                device=f"{DEVICE}{hop}",
                mac=f"02:6c:62:{hop:02x}:00:{here:02x}",
                next_mac=f"02:6c:62:{hop:02x}:00:{there:02x}",
                address4=f"169.254.{76 + hop}.{here}/24",
                next4=f"169.254.{76 + hop}.{there}",
                address6=f"fe80::6c62:{here}/64",
                next6=f"fe80::6c62:{there}",
                vni=self.settings.vni + hop,
            )
            for hop in range(1, len(self.settings.members))
        ]

    def addresses(self, version: int) -> list[str]:
        """Return the addresses that clients know, of one version of IP."""
        return [each for each in self.settings.addresses if ip_address(each).version == version]

    @property
    def families(self) -> list[str]:
        """The families of nftables that there are rules in."""
        return ["inet", *(family for version, family in _FAMILIES if self.addresses(version))]

    def devices(self) -> list[Sequence[str]]:
        """Return what makes the devices, each as the words of a command."""
        vxlan = f"local {self.own} dstport {self.settings.port} nolearning"
        return [
            f"ip link add {hop.device} address {hop.mac} mtu {_MTU} type vxlan id {hop.vni} {vxlan}".split()
            for hop in self.hops
        ]

    def ways(self) -> list[Sequence[str]]:
        """Return what says where the devices lead: again and again, if need be."""
        found: list[Sequence[str]] = []
        for hop in self.hops:
            found.append(f"ip link set {hop.device} up".split())
            found.append(f"bridge fdb replace {hop.next_mac} dev {hop.device} dst {self.next[1]}".split())
            if self.addresses(4):
                found.append(f"ip addr replace {hop.address4} dev {hop.device}".split())
                found.append(f"ip neigh replace {hop.next4} lladdr {hop.next_mac} dev {hop.device}".split())
            if self.addresses(6):
                found.append(f"ip -6 addr replace {hop.address6} dev {hop.device} nodad".split())
                found.append(f"ip -6 neigh replace {hop.next6} lladdr {hop.next_mac} dev {hop.device}".split())
        return found

    def settings_of_devices(self) -> dict[str, str]:
        """Return what is set of the kernel's for the devices, under /proc/sys."""
        return {f"net/ipv4/conf/{hop.device}/rp_filter": _LOOSE_FILTER for hop in self.hops}

    def rules(self, *, is_learning: bool = False) -> str:
        """Return the rules, for `nft -f`: they take the place of those that are there, at one stroke.

        `is_learning`: nothing is handed on, so that connections that are there already get known.
        """
        blocks = [_anew("inet"), self._guard()]
        for version, family in _FAMILIES:
            blocks.append(_anew(family))
            if self.addresses(version):
                blocks.append(self._table(version, family, is_learning=is_learning))
        return "\n".join(blocks)

    @staticmethod
    def no_rules() -> str:
        """Return what takes the rules away, for `nft -f`."""
        return "\n".join(map(_anew, ("inet", *(family for _, family in _FAMILIES))))

    def _guard(self) -> str:
        """Return what lets in from other nodes alone what has been handed on.

        The kernel takes VXLAN at every address of the machine, those that clients know as well: so it is told by its networks.
        """
        own, other = ("ip6", "ipv4") if ":" in self.own else ("ip", "ipv6")
        nodes = ", ".join(address for _, address in self.settings.members if address != self.own)
        ours = f"udp dport {self.settings.port} @th,96,24 {{ {', '.join(str(hop.vni) for hop in self.hops)} }}"
        return (
            f"table inet {TABLE} {{\n"
            "  chain input {\n"
            "    type filter hook input priority filter - 1; policy accept;\n"
            f"    {ours} {own} saddr != {{ {nodes} }} counter drop\n"
            f"    meta nfproto {other} {ours} counter drop\n"
            "  }\n}"
        )

    def _table(self, version: int, family: str, *, is_learning: bool) -> str:
        hops = self.hops
        lines = [f"table {family} {TABLE} {{"]
        lines += [f"  counter handed{at} {{ }}" for at in range(1, len(hops) + 1)]
        lines += ["  counter unknown { }", "  chain prerouting {"]
        lines += ["    type filter hook prerouting priority mangle; policy accept;"]
        lines += [f"    {family} daddr != {{ {', '.join(self.addresses(version))} }} accept"]
        lines += [
            "    meta l4proto != tcp accept",
            "    tcp flags & (syn | rst) != 0 accept",
            "    ct state untracked accept",
            # The port of a client that is over here may be that of a connection which another node has by now.
            f"    ct state != invalid ct expiration > {_OVER_S}s accept",
        ]
        if is_learning:
            lines += ["    accept"]
        lines += [f'    iifname "{hops[-1].device}" counter name unknown accept']
        for at in range(len(hops) - 1, 0, -1):
            lines += [f'    iifname "{hops[at - 1].device}" {_to(hops[at], version, at + 1)}']
        lines += [f"    {_to(hops[0], version, 1)}", "  }", "}"]
        return "\n".join(lines)


def _to(hop: Hop, version: int, number: int) -> str:
    there = hop.next4 if version == 4 else hop.next6
    return f'counter name handed{number} dup to {there} device "{hop.device}" drop'


def _anew(family: str) -> str:
    return f"table {family} {TABLE} {{ }}\ndelete table {family} {TABLE}"
