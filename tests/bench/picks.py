"""`python -m tests.bench picks`: how the cost of one pick grows with the pool.

Responsible for timing `choose_server` of each algorithm over pools of 10, 100 and 1,000 servers, with in-flight counts read
from a real scoreboard. Knows nothing of proxies. Invariant: client keys and loads vary from pick to pick.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from time import process_time_ns

from lbapp.engine.policy.balance.base import ServerState
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.engine.scoreboard.layout import Layout
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.worker.record import InFlightReader
from lbapp.model.entities import AlgorithmName

_SIZES = (10, 100, 1_000)
_PICKS = 2_000
_ROUNDS = 5


def pick_us(name: AlgorithmName, servers: int, picks: int = _PICKS, rounds: int = _ROUNDS) -> float:
    """Return the CPU microseconds of one pick, the best of several rounds."""
    source = random.Random(servers)
    with Segment.create(Layout(slots=2, listeners=1, pools=1, servers=servers)) as segment:
        row = segment.layout.in_flight(0)
        for server in range(servers):
            segment.cells[row + server] = source.randrange(20)
        states = [ServerState(server, f"app/s{server}", source.randrange(1, 257), True) for server in range(servers)]
        algorithm = build_algorithm(name, states, InFlightReader(segment), source)
        for server in range(servers):
            algorithm.observe(server, source.randrange(1_000, 50_000), False, 0.0)
        keys = [source.randbytes(4) for _ in range(picks)]
        best = float("inf")
        for _ in range(rounds):
            started = process_time_ns()
            for at, key in enumerate(keys):
                algorithm.choose_server(key, at * 1e-4)
            best = min(best, (process_time_ns() - started) / 1e3 / picks)
    return best


def main(argv: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench picks", description=__doc__.partition("\n")[0])
    parser.add_argument("--brief", action="store_true", help="few picks, once: to see that it works")
    picks, rounds = (_PICKS // 20, 1) if parser.parse_args(argv).brief else (_PICKS, _ROUNDS)
    print(f"\nCPU us of one pick, best of {rounds} rounds of {picks}")
    print(f"{'algorithm':22}" + "".join(f"{size:>9}" for size in _SIZES) + f"{'1000/10':>9}")
    for name in AlgorithmName:
        costs = [pick_us(name, size, picks if size < 1_000 else picks // 4, rounds) for size in _SIZES]
        print(f"{name.value:22}" + "".join(f"{cost:9.2f}" for cost in costs) + f"{costs[-1] / costs[0]:9.2f}")
    return 0
