from __future__ import annotations

from dataclasses import replace

from lbapp.engine.supervisor.traffic import Figures, of_pool, traffic
from lbapp.model.histogram import bucket_of
from lbapp.model.outcomes import FailureKind, Outcome

NOTHING = Figures(
    connections=0,
    connections_total=0,
    in_flight=0,
    requests=0,
    bytes_in=0,
    bytes_out=0,
    retries=0,
    responses=(0,) * 5,
    failures=(0,) * len(FailureKind),
    outcomes=(0,) * len(Outcome),
    queue=0,
    connect=0,
    first_byte=0,
    total=0,
    errors=0,
)


def counted(**numbers: int) -> tuple[int, ...]:
    return tuple(numbers.get(outcome.name.lower(), 0) for outcome in Outcome)


def latencies(count: int, latency_us: int) -> int:
    return count << (64 * bucket_of(latency_us))


def test_rates_and_latencies_are_those_of_the_window_alone() -> None:
    earlier = replace(NOTHING, requests=100, errors=50, total=latencies(100, 900_000))
    now = replace(earlier, requests=120, errors=55, total=earlier.total + latencies(20, 2_000))
    figures = traffic(now, earlier, 10.0)
    assert figures["requests_per_s"] == 2.0
    assert figures["error_rate"] == 0.25
    p99 = figures["latency"]["total"]["p99"]
    assert p99 is not None
    assert abs(p99 - 2.0) < 0.1
    assert figures["requests_total"] == 120


def test_figures_that_cannot_be_known_are_none() -> None:
    figures = traffic(NOTHING, NOTHING, 10.0)
    assert figures["error_rate"] is None
    assert figures["latency"]["first_byte"] == {"p50": None, "p90": None, "p99": None, "p999": None}
    assert figures["requests_per_s"] == 0.0
    assert figures["failures"] == {}


def test_pool_adds_up_its_servers_and_what_reached_none_of_them() -> None:
    one = replace(NOTHING, requests=3, in_flight=1, errors=1, total=latencies(3, 1000))
    other = replace(NOTHING, requests=4, in_flight=2, total=latencies(4, 1000))
    pool = of_pool([one, other], counted(no_server=5), latencies(6, 50))
    assert (pool.requests, pool.in_flight, pool.errors) == (12, 3, 6)
    assert (pool.total, pool.queue) == (latencies(7, 1000), latencies(6, 50))
    assert traffic(pool, NOTHING, 1.0)["outcomes"] == {"no_server": 5}


def test_pool_without_servers_has_figures_all_the_same() -> None:
    assert of_pool([], counted(), 0) == NOTHING
