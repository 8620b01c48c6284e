"""A decision in lines of text."""

from __future__ import annotations

from lbapp.control.decisions import DecisionStatus
from lbapp.control.telling import describe

DECISION: DecisionStatus = {
    "at": 1_700_000_000.25,
    "client": "2001:db8:1234:5678:9abc:def0:1234:5678",
    "port": 4711,
    "pool": "application",
    "algorithm": "least_response_time",
    "attempt": 2,
    "server": "application/server-1",
    "by": "least_response_time",
    "candidates": [
        {
            "server": f"application/server-{number}",
            "score": "latency 12.5 ms (as the best) x (123 + 1) in flight / weight 256 = 0.0123",
        }
        for number in range(1, 17)
    ],
    "candidates_total": 500,
    "skipped": [
        {"server": f"application/server-{number}", "reason": "full: 100 in flight of connections_max 100"}
        for number in range(501, 510)
    ],
    "skipped_total": 9,
    "persistence": ["server_down", "updated"],
    "remembered": "application/server-501",
    "key": "client address (no header X-Some-Rather-Long-Name)",
    "waited": True,
    "note": "the key is of application/server-501, which it cannot have now",
}


def test_decision_of_a_large_pool_fits_a_terminal() -> None:
    lines = describe(DECISION, is_preview=False).split("\n")
    assert max(len(line) for line in lines) <= 80
    assert len(lines) <= 40
    text = "\n".join(lines)
    for words in ("attempt 2", "waited for room", "server_down, updated", "and 492 more candidates", "and 1 more that"):
        assert words in text


def test_ordinary_decision_is_a_few_lines_with_the_chosen_one_marked() -> None:
    decision: DecisionStatus = {
        **DECISION,
        "client": "192.0.2.7",
        "pool": "app",
        "attempt": 1,
        "server": "app/s2",
        "by": "least_connections",
        "candidates": [{"server": "app/s2", "score": "a"}, {"server": "app/s1", "score": "b"}],
        "candidates_total": 2,
        "skipped": [{"server": "app/s3", "reason": "DRAIN"}],
        "skipped_total": 1,
        "persistence": [],
        "key": None,
        "waited": False,
        "note": "",
    }
    head, *rest = describe(decision, is_preview=False).split("\n")
    assert head.endswith("  192.0.2.7  pool app -> app/s2 by least_connections")
    assert rest == [" > app/s2  a", "   app/s1  b", " - app/s3  DRAIN"]
    assert describe(decision, is_preview=True).startswith("now: pool app -> app/s2 by least_connections\n")
