"""Routing, health, drain and retry: the decisions of one exchange or one server."""

from __future__ import annotations

from random import Random

from lbapp.engine.policy.drain import DrainPhase, drain_progress
from lbapp.engine.policy.health import HealthRecord, ProbeResult, first_probe_delay_s, next_probe_delay_s, observe
from lbapp.engine.policy.retry import may_repeat_on_new_connection
from lbapp.engine.policy.routing import compile_routes
from lbapp.model.entities import Bind, HealthCheck, Listener, Route
from lbapp.model.outcomes import FailureKind
from lbapp.model.states import HEALTH_TRANSITIONS, HealthState

GOOD, BAD = ProbeResult(True, "HTTP 200"), ProbeResult(False, "HTTP 503")


def after(results: list[ProbeResult], check: HealthCheck | None = None) -> list[HealthState]:
    record, states = HealthRecord(), []
    for result in results:
        before = record.state
        record, transition = observe(record, result, check or HealthCheck(fall=3, rise=2))
        assert (transition is not None) == (record.state is not before)
        if transition is not None:
            assert transition.after in HEALTH_TRANSITIONS[transition.before]
            assert transition.reason == result.reason
        states.append(record.state)
    return states


def test_server_goes_down_after_fall_failures_and_up_after_rise_successes() -> None:
    up, down, unknown = HealthState.UP, HealthState.DOWN, HealthState.UNKNOWN
    assert after([GOOD]) == [up]
    assert after([BAD, BAD, BAD]) == [unknown, unknown, down]
    assert after([GOOD, BAD, BAD, GOOD, BAD, BAD, BAD]) == [up, up, up, up, up, up, down]
    assert after([BAD] * 3 + [GOOD, BAD, GOOD, GOOD]) == [unknown, unknown, down, down, down, down, up]


def test_probes_are_spread() -> None:
    source = Random(1)
    assert all(0 <= first_probe_delay_s(source, 5.0) <= 5.0 for _ in range(50))
    assert all(4.5 <= next_probe_delay_s(source, 5.0, 10) <= 5.0 for _ in range(50))
    assert min(next_probe_delay_s(source, 5.0, 10, is_second=True) for _ in range(50)) < 1.0


def test_drain_is_draining_until_nothing_is_in_flight_and_overdue_at_its_deadline() -> None:
    assert drain_progress(10.0, 60.0, 3, 30.0).phase is DrainPhase.DRAINING
    assert drain_progress(10.0, 60.0, 3, 30.0).remaining_s == 40.0
    assert drain_progress(10.0, 60.0, 0, 30.0).phase is DrainPhase.DRAINED
    overdue = drain_progress(10.0, 60.0, 3, 70.0)
    assert (overdue.phase, overdue.remaining_s) == (DrainPhase.OVERDUE, 0.0)


def test_request_is_repeated_only_on_a_stale_connection_and_when_safe() -> None:
    def may(
        method: bytes, kind: FailureKind = FailureKind.UPSTREAM_CLOSED, reused: bool = True, kept: bool = True
    ) -> bool:
        return may_repeat_on_new_connection(kind, method, was_reused=reused, is_body_kept=kept)

    assert may(b"GET")
    assert may(b"DELETE")
    assert not may(b"POST")
    assert not may(b"PATCH")
    assert not may(b"PUT", kept=False)
    assert not may(b"GET", reused=False)
    assert not may(b"GET", kind=FailureKind.RESPONSE_TIMEOUT)


def test_first_matching_route_decides() -> None:
    routes = (
        Route("exact", host="a.example.com"),
        Route("wild", host="*.example.com", path="/v1/"),
        Route("post", method="POST"),
        Route("header", headers=(("x-key", "v 1"), ("x-two", "2"))),
    )
    router = compile_routes(Listener("web", (Bind("h", 1),), pool="rest", routes=routes))
    cases = {
        (b"A.Example.com:80", b"/", b"GET", b""): "exact",
        (b"b.c.example.com", b"/v1/x?y", b"GET", b""): "wild",
        (b"example.com", b"/v1/x", b"GET", b""): "rest",
        (b"b.example.com", b"/?p=/v1/", b"GET", b""): "rest",
        (b"[::1]", b"/", b"POST", b""): "post",
        (b"x", b"/", b"GET", b"X-KEY: v 1\r\nx-two:2 \r\n"): "header",
        (b"x", b"/", b"GET", b"X-Key: v 12\r\nX-Two: 2\r\n"): "rest",
        (b"x", b"/", b"GET", b"Not-X-Key: v 1\r\nX-Two: 2\r\n"): "rest",
    }
    for (host, target, method, fields), pool in cases.items():
        route = router.choose_route(host, target, method, fields, lambda _: True)
        assert route is not None
        assert route.pool == pool


def test_without_routes_or_pool_there_is_nowhere_to_go() -> None:
    listener = Listener("web", (Bind("h", 1),), pool=None, routes=(Route("x", path="/x"),))
    assert compile_routes(listener).choose_route(b"h", b"/y", b"GET", b"", lambda _: True) is None
    only = compile_routes(Listener("web", (Bind("h", 1),), pool="app")).choose_route(
        b"h", b"/", b"GET", b"", lambda _: True
    )
    assert only is not None
    assert only.pool == "app"
