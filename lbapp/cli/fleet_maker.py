"""Where engine and store side meet: what `lbapp run` hands to an engine that is one of a fleet.

Responsible for importing the store side when an engine has a `[cluster]`, and never before. Knows nothing of what it does.
Invariant: an engine that is alone imports none of it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from lbapp.model.fleet import ClusterSettings, Fleet, FleetMaker


def make_fleet(settings: ClusterSettings, kept: Path) -> Fleet:
    """Make the store side of an engine. `kept`: where the last whole view is kept."""
    make: FleetMaker = import_module("lbapp.cluster.fleet").make
    return make(settings, kept)
