"""Where engine and store side meet: what `lbapp run` hands to an engine that is one of a fleet.

Responsible for importing the store side when an engine has a `[cluster]`, and never before. Knows nothing of what it does.
Invariant: an engine that is alone imports none of it.
"""

from __future__ import annotations

import logging
from pathlib import Path

from lbapp.model.fleet import ClusterSettings, Fleet


def make_fleet(settings: ClusterSettings, kept: Path) -> Fleet:
    """Make the store side of an engine. `kept`: where the last whole view is kept."""
    from lbapp.cluster.fleet import make

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write a line for every request to the store
    return make(settings, kept)
