"""What is known of one exchange when it has ended.

Responsible for the names and units that log lines, the live view and the docs agree on. Knows nothing of formats. Invariant: a
time that never came is -1; text from the network is as it came, in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from lbapp.model.outcomes import ENDED_BY, Ender, Outcome, Phase
from lbapp.model.persistence import PersistenceVerdict


@dataclass(slots=True)
class ExchangeRecord:
    """One exchange, or one relayed TCP connection (`method` empty).

    `at_s` in Unix seconds: when its request had come, or its connection. `client` is an address, or `unix:`; `port` 0: not known.
    `queue_us`: waiting for room; `connect_us`: to the last server, 0 on a connection that was kept; `first_byte_us`: from the
    request sent to the head of the answer; `total_us`: from `at_s` on. `connections`: of the listener, in this worker.
    """

    at_s: float
    client: str
    port: int
    listener: str
    method: bytes = b""
    host: bytes = b""
    target: bytes = b""
    version: int = 11
    status: int = 0
    pool: str = ""
    server: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    queue_us: int = -1
    connect_us: int = -1
    first_byte_us: int = -1
    total_us: int = 0
    attempts: int = 0
    verdict: PersistenceVerdict | None = None
    given: PersistenceVerdict | None = None
    outcome: Outcome = Outcome.COMPLETED
    phase: Phase | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    trace: tuple[str, str] | None = None  # as of RequestHead
    connections: int = 0

    @property
    def ended_by(self) -> Ender | None:
        """Who ended it; None: it was complete."""
        return ENDED_BY.get(self.outcome)
