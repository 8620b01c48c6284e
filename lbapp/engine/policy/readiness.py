"""Whether a node should get new clients.

Responsible for every reason against it, each as one sentence. Knows nothing of clocks, of sockets or of who asks.

Invariants: a node that starts, drains, stops, does not listen or has no worker is not ready, whatever its servers are; a node
whose listeners lead to no pool needs no server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lbapp.model.readiness import ReadinessSettings


@dataclass(frozen=True, slots=True)
class Standing:
    """How a node stands. `phase`: as of an EngineStatus; `unbound`: listeners without a socket; `workers`: that serve.

    `eligible`: the eligible servers of each pool that requests may go to, or that the settings name.
    """

    phase: str
    is_stopping: bool
    is_draining: bool
    unbound: Sequence[str]
    workers: int
    led_to: Sequence[str]
    eligible: Mapping[str, int]
    unpublished: Sequence[str] = ()


def reasons_against(standing: Standing, settings: ReadinessSettings) -> list[str]:
    """Return why a node should get no new clients; empty: it should."""
    reasons = []
    if standing.phase == "starting":
        reasons.append("the engine is starting")
    if standing.is_stopping or standing.phase == "draining":
        reasons.append("the engine is about to stop")
    if standing.is_draining:
        reasons.append("the node drains")
    reasons += [f"listener {name} accepts nobody" for name in standing.unbound]
    if not standing.workers:
        reasons.append("no worker serves")
    for name in settings.pools:
        if not standing.eligible.get(name):
            why = "is unpublished" if name in standing.unpublished else "has no eligible server"
            reasons.append(f"pool {name} {why}")
    found = sum(standing.eligible.get(name, 0) for name in standing.led_to)
    if standing.led_to and found < settings.eligible_min:
        reasons.append(f"{found} eligible servers, and readiness.eligible_min is {settings.eligible_min}")
    return reasons
