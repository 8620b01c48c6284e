"""Keys about who is let in: `[listener.admission]`, and the rates that `[limits]` has as well.

Responsible for the keys, their values and the rules between them. Knows nothing of the rest of the schema. Rules work on the
data as TOML gives it, as those of rules.py do.

Invariant: what a listener does not say of its clients is what `[limits]` says; a combination that means nothing is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from lbapp.config import values
from lbapp.config.table import Table
from lbapp.model.admission import Admission, Rate
from lbapp.model.entities import Protocol
from lbapp.model.limits import Limits

Found = tuple[tuple[int | str, ...], str]

_RATE: Final = re.compile(r"([1-9][0-9]{0,6})/(s|m|h)").fullmatch
_PERIODS_S: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_NONE: Final = "none"


def _rate(value: object) -> Rate:
    match = _RATE(value) if isinstance(value, str) else None
    if match is not None:
        return Rate(int(match[1]), _PERIODS_S[match[2]])
    if value == _NONE:
        return Rate()
    raise ValueError(
        f'{values.shown(value)} is not a rate; write a number and a time, such as "100/s", "600/m" or "1000/h", or "none"'
    )


def _networks(value: object) -> list[IPv4Network | IPv6Network]:
    if not isinstance(value, list):
        raise ValueError(f'{values.shown(value)} is not accepted; allowed: a list of networks, such as ["10.0.0.0/8"]')
    return [_network(each) for each in value]


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        if isinstance(value, str):
            return ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            wide = ip_network(str(value), strict=False)
            raise ValueError(f'{values.shown(value)} is an address in a network; did you mean "{wide}"?') from error
    raise ValueError(f'{values.shown(value)} is not a network; write "10.0.0.0/8", "2001:db8::/32" or one address')


RequestRate = Annotated[Rate, BeforeValidator(_rate)]
CountOrNone = Annotated[int, BeforeValidator(values.whole_number(0, 1_000_000))]
Networks = Annotated[list[Any], BeforeValidator(_networks)]


class AdmissionTable(Table):
    """`[listener.admission]`. What is left out is as in `[limits]`."""

    connections_max: CountOrNone = 0
    fleet_connections_max: CountOrNone = 0
    client_connections_max: CountOrNone | None = None
    client_request_rate: RequestRate | None = None
    client_burst: CountOrNone | None = None
    allow: Networks = Field(default_factory=list)
    deny: Networks = Field(default_factory=list)

    def to_model(self, limits: Limits, protocol: Protocol) -> Admission:
        """Return what the listener asks of its clients. Requests are counted where there are any."""
        rate = limits.client_request_rate if self.client_request_rate is None else self.client_request_rate
        per_client = (
            limits.client_connections_max if self.client_connections_max is None else self.client_connections_max
        )
        burst = limits.client_burst if self.client_burst is None else self.client_burst
        has_requests = protocol is Protocol.HTTP
        return Admission(
            connections_max=self.connections_max,
            client_connections_max=per_client,
            client_request_rate=rate if has_requests else Rate(),
            client_burst=burst if has_requests and rate.count else 0,
            allow=tuple(self.allow),
            deny=tuple(self.deny),
            fleet_connections_max=self.fleet_connections_max,
        )


def admission_rules(path: tuple[int | str, ...], listener: dict[str, Any], limits: object) -> Iterator[Found]:
    """Yield what does not hold between the keys of one listener and `[limits]`."""
    table = listener.get("admission")
    if not isinstance(table, dict):
        return
    here = (*path, "admission")
    if listener.get("protocol") == Protocol.TCP.value:
        for key in ("client_request_rate", "client_burst"):
            if key in table:
                yield (*here, key), "a tcp listener reads no requests; remove it"
        return
    of_limits = limits.get("client_request_rate", _NONE) if isinstance(limits, dict) else _NONE
    if table.get("client_burst") and table.get("client_request_rate", of_limits) == _NONE:
        yield (*here, "client_burst"), "it means nothing without a client_request_rate; add that, or remove it"
