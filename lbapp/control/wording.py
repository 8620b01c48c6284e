"""Sentences that the command line and the console say alike.

Responsible for what is made of several fields of a message. Knows nothing of terminals. Invariant: what is not known is not said.
"""

from __future__ import annotations

from collections.abc import Callable

from lbapp.control.messages import DrainStatus, EngineStatus, NodeDrainStatus


def still_open(duration: Callable[[float], str], *drains: DrainStatus) -> str:
    """Return what is still open at servers that drain, and until when. `duration` writes seconds."""
    in_flight, tunnels = sum(drain["in_flight"] for drain in drains), sum(drain["tunnels"] for drain in drains)
    parts = [f"{in_flight} in flight" + (f" ({tunnels} tunnel{'' if tunnels == 1 else 's'})" if tunnels else "")]
    ages = [drain["oldest_s"] for drain in drains if drain["oldest_s"] is not None]
    if ages and in_flight:
        parts.append(f"the oldest {duration(max(ages))}")
    remembered = sum(drain["remembered"] or 0 for drain in drains)
    if remembered:
        parts.append(f"{remembered} clients remembered")
    finish = [drain["finish_s"] for drain in drains if drain["finish_s"] is not None]
    if in_flight and len(finish) == len(drains):
        parts.append(f"done in about {duration(max(finish))}")
    return ", ".join([*parts, f"closed by force in {duration(max(drain['remaining_s'] for drain in drains))}"])


def node_open(duration: Callable[[float], str], drain: NodeDrainStatus) -> str:
    """Return how many clients a node that drains still has, and until when."""
    parts = [f"{drain['connections']} connections, {drain['in_flight']} in flight"]
    if drain["finish_s"] and drain["phase"] == "draining":
        parts.append(f"done in about {duration(drain['finish_s'])}")
    return ", ".join([*parts, f"closed by force in {duration(drain['remaining_s'])}"])


def node_state(engine: EngineStatus, now: float, duration: Callable[[float], str]) -> str:
    """Return what the node does: its phase, and before all else that it drains, or that what serves is to be confirmed."""
    if engine["confirm_by"] is not None:
        return f"CONFIRM {engine['configuration']} IN {duration(max(0.0, engine['confirm_by'] - now))}"
    drain = engine["drain"]
    if drain is not None:
        return f"NODE {drain['phase'].upper()} {duration(drain['remaining_s'])}"
    return engine["phase"]
