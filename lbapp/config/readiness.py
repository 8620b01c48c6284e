"""`[readiness]`: how many servers a node needs to get new clients.

Responsible for its keys. Knows nothing of which pools there are, or of what servers are found to be.

Invariant: a table that is left out asks for one eligible server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator

from lbapp.config import values
from lbapp.config.lines import Path as KeyPath
from lbapp.config.table import Table
from lbapp.model.readiness import LENIENT, ReadinessSettings


def _pools(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f'{values.shown(value)} is no list of pools; write such as ["app"]')
    return tuple(dict.fromkeys(value))


class ReadinessTable(Table):
    """`[readiness]`."""

    eligible_min: Annotated[int, BeforeValidator(values.whole_number(0, 100_000))] = LENIENT.eligible_min
    pools: Annotated[tuple[str, ...], BeforeValidator(_pools)] = LENIENT.pools

    def to_model(self) -> ReadinessSettings:
        """Return the settings."""
        return ReadinessSettings(self.eligible_min, self.pools)


def pools_named(table: object) -> Iterator[tuple[KeyPath, object]]:
    """Yield the pools that the table names, and where. Works on data of any shape."""
    named = table.get("pools") if isinstance(table, dict) else None
    for at, name in enumerate(named if isinstance(named, list) else []):
        yield ("readiness", "pools", at), name
