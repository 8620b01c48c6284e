"""How much of its weight a server has that has just come back.

Responsible for the curve. Knows nothing of states, and keeps no clock. Source: Envoy's slow start mode. Invariant: the share
never falls while time passes, and is whole at the end of the window.
"""

from __future__ import annotations

from lbapp.model.passive import SlowStart

WHOLE = 1000


def share_permille(settings: SlowStart | None, since_s: float) -> int:
    """Return the share of the weight, 1 to 1000, `since_s` seconds after the return."""
    if settings is None or since_s >= settings.window_s:
        return WHOLE
    grown = (max(since_s, 0.0) / settings.window_s) ** (1.0 / settings.aggression)
    return max(1, settings.percent_min * 10, int(grown * WHOLE))
