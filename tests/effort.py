"""How often a test does again what chance plays a part in: seldom in each run, often with --hypothesis-profile=thorough."""

from __future__ import annotations

from hypothesis import settings


def times(seldom: int, often: int) -> int:
    """Return how often, by the profile that this run has."""
    return often if settings.get_current_profile_name() == "thorough" else seldom
