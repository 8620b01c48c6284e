"""Pools for the tests of the algorithms, and a simulation of one under load.

Responsible for server states, for in-flight counts that a test sets, and for a discrete-event simulation: open-loop Poisson
arrivals, servers with a few slots and a queue, exponential service. Knows nothing of any one algorithm.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random

from lbapp.engine.policy.balance.base import Algorithm, ServerState
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.model.entities import AlgorithmName

CLIENT = bytes((192, 0, 2, 1))
FAILURE_S = 0.001


@dataclass(slots=True)
class Load:
    """In-flight counts by index."""

    counts: dict[int, int] = field(default_factory=dict)

    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        return [self.counts.get(index, 0) for index in indexes]


def state(index: int, weight: int = 100, *, is_eligible: bool = True) -> ServerState:
    return ServerState(index, f"app/s{index}", weight, is_eligible and weight > 0)


def pool(*weights: int, down: Sequence[int] = ()) -> list[ServerState]:
    """Servers of those weights at indexes 0, 1, 2, ...; those in `down` are not eligible."""
    return [state(index, weight, is_eligible=index not in down) for index, weight in enumerate(weights)]


def build(
    name: AlgorithmName, servers: Sequence[ServerState], load: Load | None = None, random: Random | None = None
) -> Algorithm:
    return build_algorithm(name, servers, load or Load(), random or Random(7))


def picks(algorithm: Algorithm, how_many: int, excluded: Sequence[int] = ()) -> list[int | None]:
    return [algorithm.choose_server(CLIENT, 0.0, excluded) for _ in range(how_many)]


@dataclass(frozen=True, slots=True)
class Farm:
    """What is simulated. `means_s`: mean service of each server; `failing`: server to the share of its requests that fail.

    Each of the `workers` has an algorithm of its own and takes requests at random; what is in flight is common to them.
    """

    means_s: Sequence[float]
    slots: int
    requests_per_s: float
    requests: int
    failing: dict[int, float] = field(default_factory=dict)
    seed: int = 1
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """What came out: the 99th percentile of what succeeded, and each server's share of all requests in percent."""

    p99_s: float
    shares: list[float]


def simulate(name: AlgorithmName, farm: Farm) -> Finding:
    random, load, sequence = Random(farm.seed), Load(), count()
    servers = pool(*[100] * len(farm.means_s))
    workers = [build(name, servers, load, Random(farm.seed + 1 + worker)) for worker in range(farm.workers)]
    queues: list[deque[tuple[float, int]]] = [deque() for _ in farm.means_s]
    busy, chosen, latencies_s = Counter[int](), Counter[int](), list[float]()
    events: list[tuple[float, int, int, tuple[float, int], bool]] = []  # a request: when it came, and to which worker

    def serve(server: int, request: tuple[float, int], now_s: float) -> None:
        busy[server] += 1
        is_failure = random.random() < farm.failing.get(server, 0.0)
        takes_s = FAILURE_S if is_failure else random.expovariate(1 / farm.means_s[server])
        heappush(events, (now_s + takes_s, next(sequence), server, request, is_failure))

    def arrive(now_s: float) -> None:
        worker = random.randrange(farm.workers) if farm.workers > 1 else 0
        server = workers[worker].choose_server(CLIENT, now_s)
        assert server is not None
        chosen[server] += 1
        load.counts[server] = load.counts.get(server, 0) + 1
        if busy[server] < farm.slots:
            serve(server, (now_s, worker), now_s)
        else:
            queues[server].append((now_s, worker))

    def leave(server: int, request: tuple[float, int], is_failure: bool, now_s: float) -> None:
        arrived_s, worker = request
        busy[server] -= 1
        load.counts[server] -= 1
        if queues[server]:
            serve(server, queues[server].popleft(), now_s)
        workers[worker].observe(server, int((now_s - arrived_s) * 1e6), is_failure, now_s)
        if not is_failure:
            latencies_s.append(now_s - arrived_s)

    next_arrival_s = 0.0
    for _ in range(farm.requests):
        next_arrival_s += random.expovariate(farm.requests_per_s)
        while events and events[0][0] <= next_arrival_s:
            at_s, _, server, request, is_failure = heappop(events)
            leave(server, request, is_failure, at_s)
        arrive(next_arrival_s)
    latencies_s.sort()
    return Finding(
        latencies_s[int(len(latencies_s) * 0.99)],
        [100 * chosen[server] / farm.requests for server in range(len(farm.means_s))],
    )
