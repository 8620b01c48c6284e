"""How a configuration goes over a fleet: whose turn it is, and when a roll is at its end.

Responsible for these decisions. Knows nothing of the store, of texts or of how a node serves by one.

Invariants: in a roll a node that lives takes a configuration only after those before it that live have said that it serves; the
first that says it does not ends the roll, and so does who dies while it begins to; who is dead at its turn is passed over, and
takes it when it comes back unless the roll has been stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, RollMode

Results = Mapping[str, ConfigurationResult]


def result_of(configuration: FleetConfiguration, results: Results, node: str) -> ConfigurationResult | None:
    """Return what came of a configuration on a node; None: nothing yet."""
    result = results.get(node)
    is_it = result is not None and result.number == configuration.number and not result.has_only_begun
    return result if is_it else None


def has_begun(configuration: FleetConfiguration, results: Results, node: str) -> bool:
    """Say whether a node has begun to serve by a configuration, and has not said what came of it."""
    result = results.get(node)
    return result is not None and result.number == configuration.number and result.has_only_begun


def is_over(configuration: FleetConfiguration, results: Results, alive: Collection[str]) -> bool:
    """Say whether a configuration goes no further node by node: it has been at all of its order, was stopped, or never did."""
    if configuration.mode is RollMode.ALL or configuration.stopped or not configuration.order:
        return True
    if configuration.reached < len(configuration.order):
        return False
    last = configuration.order[-1]
    return last not in alive or result_of(configuration, results, last) is not None


def may_take(configuration: FleetConfiguration, results: Results, alive: Collection[str], node: str) -> bool:
    """Say whether a node has not taken a configuration yet and may do so now. Who is in no order may when the roll is over."""
    if not configuration.number or configuration.stopped or result_of(configuration, results, node) is not None:
        return False
    if configuration.mode is RollMode.ALL or node not in configuration.order:
        return is_over(configuration, results, alive)
    return node in configuration.order[: configuration.reached]


def mover(configuration: FleetConfiguration, alive: Collection[str]) -> str:
    """Return the node that is to move a roll on: who published, or the first that lives; empty: nobody lives."""
    return configuration.node if configuration.node in alive else min(alive, default="")


def moved_on(configuration: FleetConfiguration, results: Results, alive: Collection[str]) -> FleetConfiguration | None:
    """Return a roll after what has come of it so far; None: it stays where it is."""
    if configuration.mode is RollMode.ALL or configuration.stopped:
        return None
    reached, order = max(1, configuration.reached), configuration.order
    for node in order:
        result = result_of(configuration, results, node)
        if result is not None and result.error:
            return replace(configuration, stopped=f"{node} does not serve by it: {result.error}")
        if node not in alive and has_begun(configuration, results, node):
            return replace(configuration, stopped=f"{node} is gone since it began to serve by it")
    while reached < len(order):
        node = order[reached - 1]
        if node in alive and result_of(configuration, results, node) is None:
            break
        reached += 1
    return None if reached == configuration.reached else replace(configuration, reached=reached)
