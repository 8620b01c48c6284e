from __future__ import annotations

import json
import tracemalloc
from itertools import count

import pytest

from lbapp.control.messages import ProbeDone
from lbapp.engine.supervisor.probe_history import ProbeHistory
from lbapp.model.limits import PROBES_KEPT


def done(at: float, reason: str = "HTTP 200", took_s: float = 0.25) -> ProbeDone:
    return {"at": at, "is_success": reason == "HTTP 200", "reason": reason, "layer": "http", "duration_s": took_s}


def test_the_last_probes_are_kept_and_the_oldest_goes_first() -> None:
    history = ProbeHistory()
    for at in range(PROBES_KEPT + 5):
        history.add(done(at, "HTTP 503" if at % 2 else "HTTP 200"))
    assert [each["at"] for each in history.probes()] == list(range(5, PROBES_KEPT + 5))
    assert history.probes()[-1] == done(64.0)


def test_next_engine_knows_the_probes_of_the_one_before() -> None:
    before, after = ProbeHistory(), ProbeHistory()
    for at, reason in enumerate(("HTTP 200", "HTTP 200", "connection refused", "HTTP 200")):
        before.add(done(at, reason))
    after.know(json.loads(json.dumps(before.known())))
    assert after.probes() == before.probes()
    assert len(before.known()) == 3


@pytest.mark.parametrize(
    "known",
    [
        None,
        "probes",
        7,
        {"at": 1},
        [7],
        ["ab"],
        [[True, "x", "y"]],
        [["yes", "x", "y", [[1, 2]]]],
        [[True, "x", "y", [1]]],
    ],
)
def test_what_an_engine_of_another_version_says_otherwise_is_passed_over(known: object) -> None:
    history = ProbeHistory()
    history.know(known)
    assert history.probes() == []


def test_probes_of_a_thousand_servers_take_two_megabytes_at_most() -> None:
    histories = [ProbeHistory() for _ in range(1000)]
    clock = count()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(PROBES_KEPT + 10):
            for history in histories:  # each result is made anew, as probes make them
                history.add(done(float(next(clock)), f"HTTP {503 if number % 3 else 200}", 0.01))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken < 2_000_000, f"{taken} bytes"
