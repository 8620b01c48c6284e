"""`[cluster]`: the store that the nodes of a fleet share.

Responsible for its keys. Knows nothing of how the store is spoken to. Invariant: what stands here is the same on every node, but
for `node`, which is better left to its default: the name of the host.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from lbapp.config import values
from lbapp.config.table import Table
from lbapp.model.fleet import ClusterSettings

_LEASE_S: Final = (2.0, 600.0)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def _word(value: object) -> str:
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    raise ValueError(
        f"{values.shown(value)} is not a name; allowed: up to 63 letters, digits, dots, hyphens and underscores"
    )


def _endpoints(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f'{values.shown(value)} is no list of addresses; write such as ["http://10.0.0.1:2379"]')
    return tuple(_endpoint(each) for each in value)


def _endpoint(value: object) -> str:
    example = "write such as http://10.0.0.1:2379 or https://etcd.example.com:2379"
    try:
        parts = urllib.parse.urlsplit(value if isinstance(value, str) else "")
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not None
    except ValueError:
        is_whole = False
    if not is_whole or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{values.shown(value)} is not the address of an etcd; {example}")
    return f"{parts.scheme}://{parts.netloc}"


def _lease_s(value: object) -> float:
    seconds = values.positive_duration_s(value)
    least, most = _LEASE_S
    if not least <= seconds <= most:
        raise ValueError(f"{values.shown(value)} is out of range; allowed: 2s to 10m")
    return seconds


Word = Annotated[str, BeforeValidator(_word)]
File = Annotated[str, BeforeValidator(values.file_path)]


class ClusterTable(Table):
    """`[cluster]`. Without it a node is alone."""

    name: Word = ClusterSettings().name
    node: Word = Field(default_factory=lambda: os.uname().nodename)
    endpoints: Annotated[tuple[str, ...], BeforeValidator(_endpoints)]
    user: str = ""
    password_file: File | None = None
    ca_file: File | None = None
    lease: Annotated[float, BeforeValidator(_lease_s)] = ClusterSettings().lease_s
    ready_min: Annotated[int, BeforeValidator(values.whole_number(0, 1000))] | None = None

    def to_model(self) -> ClusterSettings:
        """Return the settings."""
        return ClusterSettings(
            self.name,
            self.node,
            self.endpoints,
            self.user,
            self.password_file,
            self.ca_file,
            self.lease,
            self.ready_min,
        )
