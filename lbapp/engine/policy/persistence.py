"""Which server a client is to have again, when the node remembers it by address or by a header field.

Responsible for a client's key, for its first server by a consistent hash over the configured servers, and for the bytes in
which a table remembers it. Knows nothing of tables, clocks or requests.

Invariants: the first server depends on the configuration, on the key and on who is eligible alone, so it is the same in every
worker and on every node; a header's value is not kept, only a digest of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import ip_address
from random import Random
from typing import Final

from lbapp.engine.policy.balance.base import Chooser, NoLoad, ServerState
from lbapp.engine.policy.balance.explaining import Explaining
from lbapp.engine.policy.balance.explanation import Explanation
from lbapp.engine.policy.balance.key_hash import KeyHash
from lbapp.model.persistence import PersistenceVerdict

_MASKS: Final = {4: (1 << 32) - 1, 16: (1 << 128) - 1}
DIGEST_BYTES: Final = 16


def address_key(packed: bytes, ipv4_prefix: int, ipv6_prefix: int) -> bytes:
    """Return a packed address with the bits behind the prefix cleared."""
    bits = len(packed) * 8
    prefix = ipv4_prefix if bits == 32 else ipv6_prefix
    if prefix >= bits:
        return packed
    mask = (_MASKS[len(packed)] << (bits - prefix)) & _MASKS[len(packed)]
    return (int.from_bytes(packed, "big") & mask).to_bytes(len(packed), "big")


def header_key(value: bytes) -> bytes:
    """Return what stands for a header's value: it may be a secret of the client's, so it is not kept itself."""
    return b"#" + blake2b(value, digest_size=DIGEST_BYTES).digest()


def shown_key(key: bytes) -> str:
    """Return a key as operators see it: an address, or the digest of a header's value after `#`."""
    if len(key) in _MASKS:
        return str(ip_address(key))
    return f"#{key[1:].hex()}"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a table knows of a client: the server's name within the pool, and until when, in Unix seconds."""

    server: str
    expires_s: int


def verdict_on(
    remembered: Remembered | None, now_s: float, known: Collection[str], able: Collection[str]
) -> PersistenceVerdict:
    """Judge what is remembered. `known`: the pool's servers; `able`: those that may have clients they had before."""
    if remembered is None:
        return PersistenceVerdict.NONE
    if remembered.expires_s <= now_s:
        return PersistenceVerdict.EXPIRED
    if remembered.server not in known:
        return PersistenceVerdict.SERVER_GONE
    return PersistenceVerdict.VALID if remembered.server in able else PersistenceVerdict.SERVER_DOWN


class FirstChoice:
    """The consistent hash over the servers of a pool. `configured`: (row, id, weight) as the file has them.

    The table is built of configured weights: what an operator weighs anew on one node moves no client from the server that
    the other nodes know for it.
    """

    def __init__(self, configured: Sequence[tuple[int, str, int]]) -> None:
        self._configured = tuple(configured)
        self._hash = KeyHash(NoLoad(), Random(0))  # it uses neither
        self._chooser: Chooser = self._hash
        self.update(frozenset(row for row, _, _ in configured))

    def update(self, eligible: Collection[int]) -> None:
        """Take over which rows may have new clients."""
        states = [
            ServerState(index=row, id=name, weight=weight or 1, is_eligible=row in eligible)
            for row, name, weight in self._configured
        ]
        self._hash.update(states, 0.0)

    def choose_server(self, key: bytes, excluded: Collection[int] = ()) -> int | None:
        """Return the row of a key's server among the eligible, None when there is none."""
        return self._chooser.choose_server(key, 0.0, excluded)

    def explain(self, key: bytes, excluded: Collection[int] = ()) -> Explanation:
        """Say whom `choose_server` would choose, and why."""
        return self._hash.explain(key, 0.0, excluded)

    @contextmanager
    def explaining(self, tell: Callable[[Explanation], None]) -> Iterator[None]:
        """Have each choice be explained, for as long as this lasts."""
        self._chooser = Explaining(self._hash, tell)
        try:
            yield
        finally:
            self._chooser = self._hash
