from __future__ import annotations

import pytest

from lbapp.engine.supervisor.metrics import collect, render
from lbapp.model.states import HealthState
from tests.engine.supervisor.support import reading

pytestmark = pytest.mark.anyio


async def test_metrics_have_exact_cumulative_buckets_and_every_server() -> None:
    with reading() as (own, reader):
        own.count_requests("s1", 30, latency_us=1000)
        own.count_requests("s1", 10, latency_us=200_000)
        own.states.set_health(own.server("s2"), HealthState.DOWN, "HTTP 503")
        lines = render(collect(reader, own.states)).decode().splitlines()
        for line in (
            'lbapp_server_requests_total{pool="app",server="s1"} 40.0',
            'lbapp_server_requests_total{pool="app",server="s2"} 0.0',
            'lbapp_server_request_seconds_bucket{le="0.000256",pool="app",server="s1"} 0.0',
            'lbapp_server_request_seconds_bucket{le="0.001024",pool="app",server="s1"} 30.0',
            'lbapp_server_request_seconds_bucket{le="0.262144",pool="app",server="s1"} 40.0',
            'lbapp_server_request_seconds_bucket{le="+Inf",pool="app",server="s1"} 40.0',
            'lbapp_server_request_seconds_count{pool="app",server="s1"} 40.0',
            'lbapp_server_health{health="down",pool="app",server="s2"} 1.0',
            'lbapp_server_eligible{pool="app",server="s2"} 0.0',
        ):
            assert line in lines
        (sum_line,) = [
            line for line in lines if line.startswith("lbapp_server_request_seconds_sum{") and '"s1"' in line
        ]
        assert float(sum_line.split()[-1]) == pytest.approx(30 * 0.001 + 10 * 0.2, rel=0.04)
        assert all("(merge: " in line for line in lines if line.startswith("# HELP"))
