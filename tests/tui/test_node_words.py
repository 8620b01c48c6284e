from __future__ import annotations

from lbapp.tui.node_words import aged, fleet_lines, node_lines_of
from lbapp.tui.tones import plain
from tests.tui.fleet_double import dns_report, fleet_of, member, member_state, roll, routes_report, three_nodes

NOW = 1_795_860_000.0


def page(fleet: object, name: str) -> str:
    members = fleet["members"]  # type: ignore[index]  # a FleetStatus
    found = next(each for each in members if each["name"] == name)
    return "\n".join(plain(line) for line in node_lines_of(fleet, found, NOW))  # type: ignore[arg-type]  # as above


def test_head_says_who_is_ready_how_the_store_is_and_what_all_carry() -> None:
    lines = fleet_lines(three_nodes())
    assert plain(lines[0]) == " fleet prod  3 of 3 nodes ready  synced  configuration f7 on 3 of 3"
    assert plain(lines[1]) == " together 2940 req/s  630 connections  36 in flight  errors 1.0%"
    assert {tone for _, tone in lines[0]} == {"plain", "good"}


def test_view_that_is_old_is_loud_and_grows_older_while_nobody_answers() -> None:
    stale = three_nodes(state="stale", age_s=40.0, problem="the store does not answer")
    lines = fleet_lines(aged(stale, 2.5))
    assert ("STORE STALE 42s", "bad") in lines[0]
    assert lines[1] == [(" ! the store does not answer; the view is 42s old, and holds", "bad")]
    assert aged(three_nodes(age_s=None), 3.0)["age_s"] is None


def test_refused_configuration_is_in_the_colour_of_what_is_wrong() -> None:
    lines = fleet_lines(three_nodes(configuration=roll(results={"lb2": "line 4"})))
    assert lines[0][-1][1] == "bad"


def test_page_of_a_node_has_every_session_with_bfd_records_and_where_connections_end() -> None:
    report = routes_report(since=NOW - 600, ecmp="handoff")
    report["sessions"][1] |= {"is_up": False, "state": "Connect", "bfd": "Down"}
    state = member_state(announce=report, dns=dns_report(gone_at=NOW + 15, state="withdrawn"), differs=2)
    text = page(fleet_of(member("lb2", state=state, seen_at=NOW - 1, started_at=NOW - 7_200)), "lb2")
    for line in (
        "lb2  ready  lbapp 1.4.0 on lb2.example",
        "up          2h00m",
        "routes      198.51.100.10/32 announced by bird for 10m00s",
        "session     up1 Established since 00:10:00, bfd Up",
        "session     up2 Connect since 00:10:00, bfd Down",
        "in a drain  established connections stay",
        "dns         www.lb.example withdrawn at 192.0.2.53, ttl 20s",
        "records     198.51.100.10 198.51.100.11",
        "in 15s",
        "differs     2 settings are other than the fleet's",
        "servers     3 of 3 eligible",
    ):
        assert line in text


def test_page_says_why_a_node_is_not_ready_how_its_drain_goes_and_why_it_serves_by_another_configuration() -> None:
    drain = {
        "phase": "draining", "since": 0.0, "timeout_s": 300.0, "remaining_s": 270.0, "connections": 7, "in_flight": 3,
        "finish_s": None,
    }  # fmt: skip
    state = member_state(ready=False, reasons=["the node drains"], drain=drain, announce=None, dns=None)
    fleet = fleet_of(member("lb2", state=state), configuration=roll(results={"lb2": "lbapp.toml:4: no such pool"}))
    text = page(fleet, "lb2")
    for line in (
        "not ready   the node drains",
        "drains      7 connections, 3 in flight, closed by force in 4m30s",
        "config      f7!, not f7: lbapp.toml:4: no such pool",
        "routes      nothing announces its addresses",
        "dns         nothing publishes its records",
    ):
        assert line in text


def test_node_that_has_said_nothing_is_not_made_up() -> None:
    assert "it has said nothing of itself yet" in page(fleet_of(member("lb2", state=None)), "lb2")
