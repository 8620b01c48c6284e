"""When a node has enough servers to get new clients.

Responsible for the settings of `[readiness]` under the model's names. Knows nothing of files, of servers or of who asks.

Invariant: the settings are about servers alone; whether the node itself starts, drains or stops is never a matter of settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ReadinessSettings:
    """The `[readiness]` table. `eligible_min`: eligible servers, over all pools that listeners lead to.

    `pools`: the names of those that must each have an eligible server.
    """

    eligible_min: int = 1
    pools: tuple[str, ...] = ()


LENIENT: Final = ReadinessSettings()
