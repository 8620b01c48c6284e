"""The hand-off ring: nodes that pass packets of connections they do not know on to each other.

Responsible for the settings that configuration and ring agree on. Knows nothing of the kernel. Invariant: the same on every node,
but for `node`.
"""

from __future__ import annotations

from dataclasses import dataclass

RingMember = tuple[str, str]  # a node's name, and the address at which the others reach it


@dataclass(frozen=True, slots=True)
class HandoffSettings:
    """The file of `lbapp handoff`. `addresses`: those that clients know (VIPs), IPv4 and IPv6. `vni`: hop N has vni + N.

    `learn_s`: how long connections that are there already are learned before strange ones are passed on.
    """

    node: str
    addresses: tuple[str, ...]
    members: tuple[RingMember, ...]
    vni: int = 7740
    port: int = 4789
    learn_s: float = 10.0
