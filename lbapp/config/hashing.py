"""`[pool.hash]`, and what algorithms ask for.

Responsible for these keys, for turning them into the model, and for algorithms that lack what they need or are given what they
have no use for. Knows nothing of files or lines. Invariant: a pool that hashes by what its listener's protocol does not have is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator

from lbapp.config import values
from lbapp.config.capacity import has_limit
from lbapp.config.lines import Path as KeyPath
from lbapp.config.lines import Placed
from lbapp.config.table import STRICT, Table
from lbapp.model.entities import AlgorithmName
from lbapp.model.hashing import BY_ADDRESS, NAMED, Hash, KeyKind

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}").fullmatch
_HASHING: Final = (AlgorithmName.HASH.value, AlgorithmName.IP_HASH.value, AlgorithmName.RENDEZVOUS.value)
_WITHOUT_SHARES: Final = (*_HASHING, AlgorithmName.FIRST.value)
BALANCE_MIN: Final = 100


def _token(value: object) -> str:
    if not isinstance(value, str) or not _TOKEN(value):
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: up to 64 letters, digits, - and _")
    return value


def _balance(value: object) -> int:
    read = values.whole_number(0, 1000)(value)
    if 0 < read < BALANCE_MIN:
        allowed = f"allowed: 0 for no bound, or {BALANCE_MIN} to 1000 percent of the mean"
        raise ValueError(f"{values.shown(value)} is too small: not all would find a server; {allowed}")
    return read


class HashTable(Table):
    """`[pool.hash]`."""

    key: Annotated[KeyKind, BeforeValidator(values.word_of(KeyKind))] = BY_ADDRESS.key
    name: Annotated[str, BeforeValidator(_token)] | None = None
    balance_factor: Annotated[int, BeforeValidator(_balance)] = BY_ADDRESS.balance_percent


class HashKeys(BaseModel):
    """What `[[pool]]` says about hashing."""

    model_config = STRICT
    hash: HashTable | None = None

    def to_hash(self) -> Hash:
        """Return the settings under the model's names."""
        table = self.hash
        return BY_ADDRESS if table is None else Hash(table.key, table.name or "", table.balance_factor)


def hash_rules(pools: Iterable[Placed], tcp_pools: Mapping[str, str]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not hold between algorithms and the rest of their pools. Works on data of any shape.

    `tcp_pools`: the pools of tcp listeners, each with the name of its listener.
    """
    for path, pool in pools:
        algorithm = pool.get("algorithm")
        table = pool.get("hash")
        if "hash" in pool and algorithm not in _HASHING:
            yield (*path, "hash"), f"the pool's algorithm hashes nothing; allowed with {values.either(_HASHING)}"
        elif isinstance(table, dict):
            yield from _key_holds((*path, "hash"), table, algorithm, tcp_pools.get(str(pool.get("name"))))
        if algorithm == AlgorithmName.FIRST.value and not _has_limit(pool):
            sentence = (
                "all would go to the first server; give the servers a connections_max, or choose another algorithm"
            )
            yield (*path, "algorithm"), sentence
        if "slow_start" in pool and algorithm in _WITHOUT_SHARES:
            yield (*path, "slow_start"), f"with algorithm {algorithm!r} clients cannot come little by little; remove it"


def _key_holds(
    here: KeyPath, table: dict[str, Any], algorithm: object, tcp_listener: str | None
) -> Iterator[tuple[KeyPath, str]]:
    key = table.get("key", KeyKind.IP.value)
    if key not in [each.value for each in KeyKind]:
        return  # the schema says so
    is_named = key in [each.value for each in NAMED]
    if algorithm == AlgorithmName.IP_HASH.value and key != KeyKind.IP.value:
        yield (*here, "key"), "ip_hash hashes the client's address; choose algorithm 'hash' for another key"
    elif is_named and "name" not in table:
        yield here, f'the name is missing; say which {key}, such as name = "user"'
    elif not is_named and "name" in table:
        yield (*here, "name"), f"key {key!r} has no name; remove it"
    if key != KeyKind.IP.value and tcp_listener is not None:
        yield (*here, "key"), f"listener {tcp_listener} speaks tcp, which has no {key}; allowed for its pool: 'ip'"


def _has_limit(pool: dict[str, Any]) -> bool:
    servers = pool.get("server")
    listed = servers if isinstance(servers, list) else []
    return any(isinstance(each, dict) and has_limit(each) for each in listed)
