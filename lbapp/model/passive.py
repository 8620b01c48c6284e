"""What live traffic says of a pool's servers, and what is made of it.

Responsible for the settings of `on_error`, `[pool.outlier]`, `[pool.slow_start]` and `panic_threshold` under the model's names.
Knows nothing of files, counters or states.

Invariant: with the defaults nothing is done to a server that its health check did not find.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class OnError(str, Enum):
    """What a failed live request leads to."""

    PROBE = "probe"  # a probe at once, and the next ones in quick succession
    MARK_DOWN = "mark_down"  # DOWN at once; the health check brings the server back
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Outlier:
    """`[pool.outlier]`: servers that fail more than the others are ejected for a while. Zero switches a criterion off.

    `consecutive_errors`: failures and 5xx with no other answer in between. By success rate, every `interval_s`, those servers are
    compared that had `requests_min` requests in it, if there are `servers_min` of them: who is more than `deviations` standard
    deviations below the mean is ejected. An ejection lasts `ejection_s` times how often there was one, `ejection_max_s` at most.
    """

    consecutive_errors: int = 5
    interval_s: float = 10.0
    servers_min: int = 5
    requests_min: int = 100
    deviations: float = 1.9
    ejection_s: float = 30.0
    ejection_max_s: float = 300.0
    ejected_percent_max: int = 10


@dataclass(frozen=True, slots=True)
class SlowStart:
    """`[pool.slow_start]`: a server that returns has `percent_min` of its weight at first, and all of it after `window_s`.

    In between the share is (time / window) ** (1 / aggression): 1.0 is a straight line, more is steeper at first.
    """

    window_s: float
    aggression: float = 1.0
    percent_min: int = 10


@dataclass(frozen=True, slots=True)
class Passive:
    """All of it, of one pool. `panic_percent`: health is ignored below this share of available servers; 0: never."""

    on_error: OnError = OnError.PROBE
    outlier: Outlier | None = None
    slow_start: SlowStart | None = None
    panic_percent: int = 0


CALM: Final = Passive()
