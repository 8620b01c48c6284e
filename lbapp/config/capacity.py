"""How much a pool takes, `[pool.queue]`, backups and failover, and their rules.

Responsible for these keys, for turning them into the model, and for what makes no sense among them. Knows nothing of files or
lines. Invariant: pools that take over for each other end somewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

from lbapp.config import values
from lbapp.config.lines import Path as KeyPath
from lbapp.config.lines import Placed
from lbapp.config.table import STRICT, Table
from lbapp.model.capacity import UNLIMITED, Capacity, Queue

_QUEUE: Final = UNLIMITED.queue
CountOrNone = Annotated[int, BeforeValidator(values.whole_number(0, 1_000_000))]


class QueueTable(Table):
    """`[pool.queue]`."""

    length_max: CountOrNone = _QUEUE.length_max
    timeout: Annotated[float, BeforeValidator(values.positive_duration_s)] = _QUEUE.timeout_s


class CapacityKeys(BaseModel):
    """What `[[pool]]` says about what it takes."""

    model_config = STRICT
    connections_max: CountOrNone = UNLIMITED.connections_max
    fleet_connections_max: CountOrNone = UNLIMITED.fleet_connections_max
    queue: QueueTable = Field(default_factory=QueueTable)
    failover: str | None = None

    def to_capacity(self) -> Capacity:
        """Return the settings under the model's names."""
        queue = Queue(self.queue.length_max, self.queue.timeout)
        return Capacity(self.connections_max, queue, self.failover, self.fleet_connections_max)


def capacity_rules(pools: Iterable[Placed]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not hold in what pools take and who takes over. Works on data of any shape."""
    pools = list(pools)
    takes_over = {
        pool["name"]: pool["failover"]
        for _, pool in pools
        if isinstance(pool.get("name"), str) and isinstance(pool.get("failover"), str)
    }
    for path, pool in pools:
        yield from _of_servers(path, pool)
        if isinstance(pool.get("failover"), str):
            yield from _failover_ends((*path, "failover"), pool, takes_over)


def _of_servers(path: KeyPath, pool: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    listed = pool.get("server")
    servers = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    check = pool.get("health_check")
    has_agent = isinstance(check, dict) and "agent" in check  # which may say maxconn
    if "queue" in pool and not has_agent and not any(map(has_limit, (pool, *servers))):
        sentence = "nobody waits where there is room for all; give the pool or its servers a connections_max"
        yield (*path, "queue"), sentence
    if servers and all(each.get("backup") is True for each in servers):
        yield (*path, "server"), "every server of the pool is a backup; leave out backup at one at least"


def has_limit(table: dict[str, Any]) -> bool:
    """Say whether a pool or a server says how much it takes."""
    return bool(table.get("connections_max") or table.get("fleet_connections_max"))


def _failover_ends(here: KeyPath, pool: dict[str, Any], takes_over: dict[str, str]) -> Iterator[tuple[KeyPath, str]]:
    wanted: str | None = pool["failover"]
    way = [pool.get("name")]
    while wanted is not None and wanted not in way:
        way.append(wanted)
        wanted = takes_over.get(wanted)
    if wanted is not None and wanted == way[0]:
        chain = " -> ".join(str(each) for each in (*way, wanted))
        yield here, f"pools that take over for each other in a circle ({chain}) help nobody; end it somewhere"
