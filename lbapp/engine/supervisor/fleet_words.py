"""What is said of a configuration of the fleet.

Responsible for its shape in the control API, and for what stands in the events of a node that begins to serve by it. Knows
nothing of the store or of HTTP. Invariant: results are shown of the configuration that is meant, and of no other.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from lbapp.control.fleet import FleetConfigurationStatus
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, RollMode


def configuration_status(
    configuration: FleetConfiguration, results: Mapping[str, ConfigurationResult]
) -> FleetConfigurationStatus:
    """Return the configuration of the fleet, and what came of it."""
    of_it = {name: each for name, each in sorted(results.items()) if each.number == configuration.number}
    return {
        "number": configuration.number,
        "mode": configuration.mode.value,
        "by": configuration.by,
        "node": configuration.node,
        "at": configuration.at,
        "reason": configuration.reason,
        "order": list(configuration.order),
        "reached": configuration.reached,
        "stopped": configuration.stopped,
        "results": {name: result.error for name, result in of_it.items() if not result.has_only_begun},
        "begun": {name: result.at for name, result in of_it.items() if result.has_only_begun},
        "revision": configuration.revision,
    }


def beginning(configuration: FleetConfiguration, *, was_away: bool) -> str:
    """Return what stands in the events of a node that begins to serve by it: who wanted that of whom, when, and which it is."""
    how = "at once" if configuration.mode is RollMode.ALL else "node by node"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(configuration.at))
    which = f"configuration {configuration.number} of the fleet (revision {configuration.revision} of the store)"
    who = f"{configuration.by} at {configuration.node} has had all nodes serve by it, {how}, at {at}"
    away = "; it was away then" if was_away else ""
    return f"this node begins to serve by {which}: {who}{away}"
