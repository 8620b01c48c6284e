"""How much one client may do: shares of a limit, request rates, the slowest that a body may come or go.

Responsible for the arithmetic of limits that are about more than one moment. Knows nothing of sockets or shared memory and
keeps no clock: times come in as monotonic seconds.

Invariants: a table of clients never holds more than it may; tokens are never above the burst; over any time much longer than
the burst, no more is let through than the rate.
"""

from __future__ import annotations

from lbapp.model.admission import Rate


def share_of(limit: int, slot: int, workers: int) -> int:
    """Return a worker's share of a limit of the node: equal parts, what is left over to the first; never none.

    Slots from `workers` on belong to another generation, whose workers have the same shares.
    """
    return max(1, limit // workers + (slot % workers < limit % workers))


class TokenBuckets:
    """A bucket of tokens for each client: filled at the rate up to the burst, emptied by one at each request.

    Of more than `clients_max` clients, the one that has been quiet longest is forgotten, which does it no harm.
    """

    def __init__(self, rate: Rate, burst: int, clients_max: int) -> None:
        self._per_s = rate.per_s
        self._burst = float(burst or rate.count)
        self._clients_max = clients_max
        self._buckets: dict[
            bytes, tuple[float, float, int]
        ] = {}  # tokens, when, what others had spent; quiet ones first

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, client: bytes, now_s: float, spent_elsewhere: int) -> float:
        """Take a token and return 0, or return how long it takes until there is one.

        `spent_elsewhere`: requests of the client that other workers have let through so far, a number that only grows.
        """
        burst, per_s = self._burst, self._per_s
        known = self._buckets.pop(client, None)
        if known is None:
            tokens = burst
            if len(self._buckets) >= self._clients_max:
                del self._buckets[next(iter(self._buckets))]
        else:
            tokens, before_s, spent_before = known
            tokens = min(burst, tokens + (now_s - before_s) * per_s - max(0, spent_elsewhere - spent_before))
            tokens = max(
                tokens, -burst
            )  # however much others let through at once, it is over in twice the burst's time
        wait = 0.0 if tokens >= 1 else (1 - tokens) / per_s
        if not wait:
            tokens -= 1
        self._buckets[client] = (tokens, now_s, spent_elsewhere)
        return wait


class Stretch:
    """How many bytes a client moves while it is waited for.

    Only time spent waiting for this client counts: neither a server's slowness nor a pause between requests is its fault.
    """

    __slots__ = ("_bytes_before", "_waited_s")

    def __init__(self, moved_bytes: int) -> None:
        self._bytes_before = moved_bytes
        self._waited_s = 0.0

    def has_waited(self, seconds: float, stretch_s: float) -> bool:
        """Add to the time waited; say whether the stretch is over, so that `is_too_slow` is to be asked."""
        self._waited_s += seconds
        return self._waited_s >= stretch_s

    def is_too_slow(self, moved_bytes: int, rate_min: int) -> bool:
        """Say whether the client moved less than `rate_min` bytes a second, and begin the next stretch."""
        needed = rate_min * self._waited_s
        moved = moved_bytes - self._bytes_before
        self._bytes_before, self._waited_s = moved_bytes, 0.0
        return moved < needed
