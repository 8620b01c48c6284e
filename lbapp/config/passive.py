"""What live traffic says of servers: `on_error`, `panic_threshold`, `[pool.outlier]`, `[pool.slow_start]`, and their rules.

Responsible for these keys, for turning them into the model, and for what makes no sense among them. Knows nothing of files or
lines. Invariant: what could never happen is refused: a reaction by a check that is not there, a share of turns that hashing has
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator

from lbapp.config import values
from lbapp.config.lines import Path as KeyPath
from lbapp.config.table import STRICT, Table
from lbapp.model.health import CheckType
from lbapp.model.passive import CALM, OnError, Outlier, Passive, SlowStart

_OUTLIER: Final = Outlier()
_SLOW: Final = SlowStart(1.0)
Duration = Annotated[float, BeforeValidator(values.positive_duration_s)]
Percent = Annotated[int, BeforeValidator(values.whole_number(0, 100))]


def _number(lowest: float, highest: float) -> BeforeValidator:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not lowest <= value <= highest:
            raise ValueError(f"{values.shown(value)} is not accepted; allowed: a number from {lowest:g} to {highest:g}")
        return float(value)

    return BeforeValidator(read)


class OutlierTable(Table):
    """`[pool.outlier]`."""

    consecutive_errors: Annotated[int, BeforeValidator(values.whole_number(0, 10_000))] = _OUTLIER.consecutive_errors
    interval: Duration = _OUTLIER.interval_s
    servers_min: Annotated[int, BeforeValidator(values.whole_number(2, 10_000))] = _OUTLIER.servers_min
    requests_min: Annotated[int, BeforeValidator(values.whole_number(1, 1_000_000))] = _OUTLIER.requests_min
    deviations: Annotated[float, _number(0, 10)] = _OUTLIER.deviations
    ejection: Duration = _OUTLIER.ejection_s
    ejection_max: Duration = _OUTLIER.ejection_max_s
    ejected_percent_max: Annotated[int, BeforeValidator(values.whole_number(1, 100))] = _OUTLIER.ejected_percent_max

    def to_model(self) -> Outlier:
        """Return the settings under the model's names."""
        return Outlier(
            self.consecutive_errors,
            self.interval,
            self.servers_min,
            self.requests_min,
            self.deviations,
            self.ejection,
            self.ejection_max,
            self.ejected_percent_max,
        )


class SlowStartTable(Table):
    """`[pool.slow_start]`."""

    window: Duration
    aggression: Annotated[float, _number(0.1, 10)] = _SLOW.aggression
    percent_min: Annotated[int, BeforeValidator(values.whole_number(1, 100))] = _SLOW.percent_min

    def to_model(self) -> SlowStart:
        """Return the settings under the model's names."""
        return SlowStart(self.window, self.aggression, self.percent_min)


class PassiveKeys(BaseModel):
    """What `[[pool]]` says about what live traffic shows."""

    model_config = STRICT
    on_error: Annotated[OnError, BeforeValidator(values.word_of(OnError))] = CALM.on_error
    panic_threshold: Percent = CALM.panic_percent
    outlier: OutlierTable | None = None
    slow_start: SlowStartTable | None = None

    def to_passive(self) -> Passive:
        """Return the settings under the model's names."""
        return Passive(
            self.on_error,
            None if self.outlier is None else self.outlier.to_model(),
            None if self.slow_start is None else self.slow_start.to_model(),
            self.panic_threshold,
        )


def passive_rules(path: KeyPath, pool: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not hold among these keys of a pool. Works on data of any shape."""
    check = pool.get("health_check")
    has_check = not (isinstance(check, dict) and check.get("type") == CheckType.NONE.value)
    if not has_check and pool.get("on_error") in (OnError.PROBE.value, OnError.MARK_DOWN.value):
        sentence = "the pool has no health check to do it by, nor to bring a server back; remove it, or give it a check"
        yield (*path, "on_error"), sentence
    outlier = pool.get("outlier")
    if isinstance(outlier, dict):
        yield from _outlier_holds((*path, "outlier"), outlier)


def _outlier_holds(here: KeyPath, table: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    if table.get("consecutive_errors") == 0 and table.get("deviations") == 0:
        yield (
            here,
            "no criterion is left: consecutive_errors and deviations are 0 both; remove the table, or one of them",
        )
    try:
        first_s = values.positive_duration_s(table.get("ejection", f"{_OUTLIER.ejection_s:g}s"))
        longest_s = values.positive_duration_s(table.get("ejection_max", f"{_OUTLIER.ejection_max_s:g}s"))
    except ValueError:
        return  # the schema says so
    if first_s > longest_s:
        yield (*here, "ejection"), f"the first ejection is longer than the longest may be, {longest_s:g}s"
