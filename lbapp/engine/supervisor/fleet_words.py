"""What is said of a configuration of the fleet.

Responsible for its shape in the control API. Knows nothing of the store or of HTTP. Invariant: results are shown of the
configuration that is meant, and of no other.
"""

from __future__ import annotations

from collections.abc import Mapping

from lbapp.control.fleet import FleetConfigurationStatus
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration


def configuration_status(
    configuration: FleetConfiguration, results: Mapping[str, ConfigurationResult]
) -> FleetConfigurationStatus:
    """Return the configuration of the fleet, and what came of it."""
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
        "results": {
            name: result.error
            for name, result in sorted(results.items())
            if result.number == configuration.number and not result.has_only_begun
        },
    }
