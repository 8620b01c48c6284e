"""Times that operators name: 14:05, 14:05:30, 2026-11-28 14:05, -10m.

Responsible for which moment such a text means. Knows nothing of who asks for it. Invariant: without a date it is the last such
time before now, so nobody who looks back ends up in the future.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from lbapp.config.values import duration_s, shown

_FORMATS: Final = ("%H:%M", "%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def unix_time(text: str, now: datetime) -> float:
    """Return the last time before `now` (local) that is meant, in Unix seconds. Raises ValueError with a sentence."""
    if text.startswith("-"):
        return now.timestamp() - duration_s(text[1:])
    for form in _FORMATS:
        try:
            found = datetime.strptime(text, form)  # in local time, as the operator's clock shows it
        except ValueError:
            continue
        if "%Y" not in form:
            found = datetime.combine(now.date(), found.time())
            if found > now:
                found -= timedelta(days=1)
        return found.timestamp()
    raise ValueError(f"{shown(text)} is no time: such as 14:05, 14:05:30, 2026-11-28 14:05 or -10m")


def is_to_the_second(text: str) -> bool:
    """Say whether a time that somebody named means one second, not one minute."""
    return text.count(":") == 2 or (text.startswith("-") and text.endswith("s"))
