"""What `lbapp dns` is told: which records are this node's, who keeps the zone, and when they are put in and taken out.

Responsible for the settings under their names. Knows nothing of files, of DNS messages or of an engine. Invariant: all values are
immutable; no value shows the secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TsigAlgorithm(str, Enum):
    """How messages to the zone's server are signed (RFC 8945). Those that are out of date are left out."""

    SHA256 = "hmac-sha256"
    SHA384 = "hmac-sha384"
    SHA512 = "hmac-sha512"


@dataclass(frozen=True, slots=True)
class TsigKey:
    """The key that both sides know. `secret`: as bytes."""

    name: str
    secret: bytes
    algorithm: TsigAlgorithm = TsigAlgorithm.SHA256

    def __repr__(self) -> str:
        return f"TsigKey({self.name!r})"  # no log and no traceback shows a secret


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """The file of `lbapp dns`. Names are in lower case, without the dot at their end; `server`: address and port.

    `records_min`: of each family, how many are left at the least; None: half of those known. `socket`: of the engine; None:
    the usual one. `interval_s`: how often the engine is asked; `rise`, `fall`: so many answers in a row count. `refresh_s`: how
    often the zone is looked at. `grace_s`: how long a node's lease has been gone before its records are taken out.
    """

    server: tuple[str, int]
    zone: str
    name: str
    addresses: tuple[str, ...]
    key: TsigKey
    node: str = ""
    ttl_s: int = 20
    records_min: int | None = None
    interval_s: float = 0.3
    rise: int = 2
    fall: int = 2
    refresh_s: float = 10.0
    grace_s: float = 10.0
    socket: str | None = None
