"""`[metrics]`: the address for who scrapes over the network.

Responsible for its key, and for what makes no sense between it and the listeners. Knows nothing of sockets. Invariant: the
address is one that a scraper can be told: TCP, with a port.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Final

from pydantic import BeforeValidator

from lbapp.config import values
from lbapp.config.lines import Path as KeyPath
from lbapp.config.table import Table
from lbapp.model.entities import Bind

_OFF: Final = "off"


def _address(value: object) -> Bind | None:
    if value == _OFF:
        return None
    if isinstance(value, str) and value.startswith("unix:"):
        raise ValueError(f"{values.shown(value)} is no TCP address; over a Unix socket the control socket has /metrics")
    host, port = values.host_and_port(value, port_min=1)
    return Bind(host=host, port=port)


class MetricsTable(Table):
    """`[metrics]`."""

    bind: Annotated[Bind | None, BeforeValidator(_address)] = None


def metrics_rules(table: object, binds: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not hold between the address and those of the listeners. Works on data of any shape."""
    if not isinstance(table, dict):
        return
    try:
        bind = _address(table.get("bind", _OFF))
    except ValueError:
        return
    if str(bind) in binds:
        yield ("metrics", "bind"), f"{bind} is taken by a listener already; choose another"
