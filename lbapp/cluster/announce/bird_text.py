"""The configuration of a BIRD that announces this node's addresses.

Responsible for the names of its protocols and for its text. Knows nothing of a running BIRD. Each address has two protocols, a
good route and a worse one, both born disabled: switching them needs no new configuration, and a BIRD that has just started
announces nothing. No protocol writes to the kernel: the routes are for neighbors alone.

Invariant: a name stands for one address, whatever else is in the file, so that a BIRD with the protocols of another file is
found out.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from lbapp.model.announce import AnnounceSettings, BgpSettings, Neighbor

GOOD: Final = "lbapp_vip_"
WORSE: Final = "lbapp_drained_"
_FILTER: Final = """filter lbapp_routes {{
  if proto ~ "{worse}*" then {{ bgp_med = {med}; accept; }}
  if proto ~ "{good}*" then accept;
  reject;
}}
"""
_BFD: Final = """protocol bfd lbapp_bfd {
  interface "*" { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; };
}
"""


def vip_word(address: str) -> str:
    """Return an address as part of a name: letters, digits and underscores, always the same for the same address."""
    return ip_address(address).exploded.replace(".", "_").replace(":", "_")


def bird_text(settings: AnnounceSettings) -> str:
    """Return the configuration: a whole one with `[bgp]` in the file, else what goes into the operator's own."""
    parts = ["# Made by `lbapp announce --print bird`. Check it with: bird -p -c FILE\n"]
    if settings.bgp is not None:
        parts += [f"log syslog all;\nrouter id {settings.bgp.router_id};\nprotocol device {{ }}\n"]
    parts += [_static(address) for address in settings.addresses]
    parts += [_FILTER.format(worse=WORSE, good=GOOD, med=settings.med)]
    if settings.bgp is not None:
        parts += [_BFD] if settings.bgp.bfd else []
        versions: set[int] = {ip_address(address).version for address in settings.addresses}
        neighbors = enumerate(settings.bgp.neighbors, 1)
        parts += [_session(settings.bgp, each, f"lbapp_router_{at}", versions) for at, each in neighbors]
    return "\n".join(parts)


def _static(address: str) -> str:
    is_ipv6 = ":" in address
    route, channel = (f"{address}/128", "ipv6") if is_ipv6 else (f"{address}/32", "ipv4")
    name = vip_word(address)
    return (
        f"protocol static {GOOD}{name} {{ disabled yes; {channel}; route {route} blackhole; }}\n"
        f"protocol static {WORSE}{name} {{ disabled yes; {channel} {{ preference 190; }}; route {route} blackhole; }}\n"
    )


def _session(bgp: BgpSettings, neighbor: Neighbor, name: str, versions: set[int]) -> str:
    (local, _, own), (address, _, its) = (each.partition("%") for each in (neighbor.local_address, neighbor.address))
    lines = [
        f"protocol bgp {name} {{",
        f"  local {local} as {bgp.asn};",
        f"  neighbor {address} as {neighbor.asn};",
        f"  hold time {bgp.hold_time_s}; keepalive time {bgp.hold_time_s // 3};",
        # BIRD's own times are a minute and more: a router that was away for a second would stay without routes for that long.
        "  connect delay time 1; connect retry time 5; error wait time 2, 10; error forget time 30; graceful restart off;",
    ]
    # Not as a part of the address: a name with a dot or a dash, or one of BIRD's words, would be a mistake there.
    lines += [f'  interface "{its or own}";'] if its or own else []
    lines += ["  bfd on;"] if bgp.bfd else []
    is_over_ipv6 = ":" in neighbor.address
    if 4 in versions and not is_over_ipv6:
        lines += ["  ipv4 { import none; export filter lbapp_routes; };"]
    if 6 in versions and (is_over_ipv6 or neighbor.next_hop_ipv6):
        next_hop = f" next hop address {neighbor.next_hop_ipv6};" if neighbor.next_hop_ipv6 else ""
        lines += [f"  ipv6 {{ import none; export filter lbapp_routes;{next_hop} }};"]
    return "\n".join([*lines, "}\n"])
