from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from lbapp.engine.policy.node_steps import Leaving, Records, Routes, Step, waits_for
from lbapp.engine.supervisor.reports import Reports
from lbapp.model.errors import RequestRefused

ANNOUNCE: dict[str, Any] = {
    "at": 1.0, "backend": "bird", "state": "announced", "since": 1.0, "addresses": ["198.51.100.10/32"], "med": None,
    "ecmp": "plain", "problem": "",
    "sessions": [{"name": "up", "state": "Established", "is_up": True, "since": "now", "bfd": "Up"}],
}  # fmt: skip
DNS: dict[str, Any] = {
    "at": 1.0, "name": "www.lb.test.", "server": "127.0.0.1", "ttl_s": 20.0, "state": "published", "records": ["10.0.0.1"],
    "own": ["10.0.0.1"], "left_at": None, "gone_at": None, "problem": "",
}  # fmt: skip


def test_nothing_is_known_before_anything_was_told() -> None:
    found = Reports()
    assert (found.announce(), found.dns(), found.routes(), found.records(1.0)) == (None, None, None, None)


def test_the_last_report_is_kept() -> None:
    found = Reports()
    found.take_announce(ANNOUNCE)
    found.take_dns(DNS)
    found.take_dns({**DNS, "state": "withdrawn"})
    assert found.announce() == ANNOUNCE
    assert found.dns() == {**DNS, "state": "withdrawn"}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (None, "report is not an object"),
        ({**ANNOUNCE, "backend": "quagga"}, "report.backend is none of bird, exabgp, keepalived"),
        ({name: value for name, value in ANNOUNCE.items() if name != "ecmp"}, "report has no ecmp"),
        ({**ANNOUNCE, "more": 1}, "there is no field more"),
        ({**ANNOUNCE, "addresses": ["::1/128"] * 257}, "addresses has more than 256 entries"),
        ({**ANNOUNCE, "problem": "x" * 501}, "problem has more than 500 letters"),
        ({**ANNOUNCE, "since": float("nan")}, "report.since is not a number"),
    ],
)
def test_what_is_no_report_is_refused_and_leaves_what_was_known(body: object, wrong: str) -> None:
    found = Reports()
    found.take_announce(ANNOUNCE)
    with pytest.raises(RequestRefused) as caught:
        found.take_announce(body)
    assert (caught.value.status, caught.value.code) == (422, "invalid_body")
    assert wrong in caught.value.message
    assert found.announce() == ANNOUNCE


def test_a_report_that_is_too_old_is_said_to_be_so_and_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Reports()
    found.take_announce(ANNOUNCE)
    found.take_dns(DNS)
    now_s = time.monotonic()
    monkeypatch.setattr("lbapp.engine.supervisor.reports.time.monotonic", lambda: now_s + 60)
    assert (found.routes(), found.records(time.time())) == (None, None)
    announce, dns = found.announce(), found.dns()
    assert announce is not None
    assert dns is not None
    assert announce["state"] == "announced"
    assert announce["problem"].startswith("lbapp announce has said nothing for 60 s")
    assert dns["problem"].startswith("lbapp dns has said nothing for 60 s")


@pytest.mark.parametrize(
    ("more", "records"),
    [
        ({}, Records(True, 0.0, 20.0)),
        ({"state": "withdrawn", "left_at": 100.0, "gone_at": 120.0}, Records(False, 10.0, 20.0)),
        ({"state": "withdrawn", "left_at": 10.0, "gone_at": 30.0}, Records(False, 0.0, 20.0)),
        ({"state": "failed"}, Records(True, 0.0, 20.0)),
        ({"state": "failed", "records": ["10.0.0.2"]}, Records(False, 0.0, 20.0)),
        ({"state": "failed", "records": []}, Records(True, 0.0, 20.0)),
        ({"state": "failed", "records": [], "left_at": 10.0, "gone_at": 30.0}, Records(False, 0.0, 20.0)),
        ({"state": "starting", "records": []}, Records(True, 0.0, 20.0)),
        ({"state": "starting", "records": ["10.0.0.2"]}, Records(True, 0.0, 20.0)),
    ],
)
def test_records_are_in_until_they_were_taken_out(more: dict[str, Any], records: Records) -> None:
    found = Reports()
    found.take_dns({**DNS, **more})
    assert found.records(110.0) == records


@pytest.mark.parametrize(
    ("ecmp", "ends"), [("plain", True), ("single", True), ("resilient", False), ("handoff", False)]
)
def test_a_route_that_leaves_ends_connections_unless_the_network_keeps_them(ecmp: str, ends: bool) -> None:
    found = Reports()
    found.take_announce({**ANNOUNCE, "ecmp": ecmp})
    assert found.routes() == Routes(True, ends)
    found.take_announce({**ANNOUNCE, "ecmp": ecmp, "state": "drained"})
    assert found.routes() == Routes(False, ends)


DOWN = {"name": "up", "state": "Active", "is_up": False, "since": "now", "bfd": ""}


@pytest.mark.parametrize(
    ("more", "are_announced"),
    [
        ({"state": "failed", "sessions": []}, True),
        ({"state": "failed", "sessions": [DOWN]}, False),
        ({"state": "withdrawn", "sessions": []}, False),
        ({"state": "starting", "sessions": []}, False),
    ],
)
def test_a_backend_that_does_not_answer_may_still_announce(more: dict[str, Any], are_announced: bool) -> None:
    found = Reports()
    found.take_announce({**ANNOUNCE, **more})
    assert found.routes() == Routes(are_announced, True)


def test_what_a_failed_report_leaves_open_holds_a_drain_up_for_no_longer_than_others_have() -> None:
    found = Reports()
    found.take_announce({**ANNOUNCE, "state": "failed", "sessions": []})
    found.take_dns({**DNS, "state": "failed", "records": []})
    for step in (Step.DNS, Step.ROUTES):
        leaving = Leaving(step, 29.0, 60.0, 5, found.records(1.0), found.routes())
        waiting = waits_for(leaving, 30.0)
        assert waiting is not None
        assert (waiting.left_s, waiting.is_given_up) == (1.0, False)
        waiting = waits_for(replace(leaving, in_step_s=30.0), 30.0)
        assert waiting is not None
        assert waiting.is_given_up


def test_the_next_engine_knows_what_was_told_and_counts_it_from_when_it_does() -> None:
    found, after = Reports(), Reports()
    found.take_announce(ANNOUNCE)
    found.take_dns(DNS)
    after.know(found.known())
    assert (after.announce(), after.dns()) == (ANNOUNCE, DNS)
    assert after.routes() == Routes(True, True)
    assert Reports().known() == {}


@pytest.mark.parametrize("known", [None, [], {"announce": {"of": "another version"}, "dns": None}])
def test_what_another_engine_has_left_that_is_no_report_is_passed_over(known: object) -> None:
    found = Reports()
    found.know(known)
    assert (found.announce(), found.dns()) == (None, None)
