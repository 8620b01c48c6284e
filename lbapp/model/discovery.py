"""Pools whose servers are what a name stands for.

Responsible for the settings of `[pool.discover]` under the model's names. Knows nothing of files or of DNS. Invariant: such a
pool has no servers of its own, and never more than `servers_max`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class DiscoverType(str, Enum):
    """What is asked for the name."""

    ADDRESS = "address"  # A and AAAA
    SRV = "srv"


@dataclass(frozen=True, slots=True)
class Discover:
    """`[pool.discover]`. `port` is for addresses: an SRV record has its own. `servers_max` rows of the scoreboard are kept."""

    name: str
    type: DiscoverType = DiscoverType.ADDRESS
    port: int = 0
    servers_max: int = 32
