"""What a pool's clients are told apart by where its algorithm hashes.

Responsible for the settings of `[pool.hash]` under the model's names. Knows nothing of files or requests. Invariant: a kind
that has a name has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class KeyKind(str, Enum):
    """What of a request is hashed."""

    IP = "ip"
    HEADER = "header"
    COOKIE = "cookie"
    PATH = "path"
    QUERY = "query"


NAMED: Final = frozenset((KeyKind.HEADER, KeyKind.COOKIE, KeyKind.QUERY))


@dataclass(frozen=True, slots=True)
class Hash:
    """`name`: of the field, cookie or parameter. `balance_percent` of the mean may be in flight at a server; 0: any number."""

    key: KeyKind = KeyKind.IP
    name: str = ""
    balance_percent: int = 0


BY_ADDRESS: Final = Hash()
