from __future__ import annotations

from lbapp.control.messages import AgentStatus, Event
from lbapp.control.wording import node_state
from lbapp.tui.format import duration
from lbapp.tui.glyphs import FULL
from lbapp.tui.wording import event_page, help_lines, server_page
from tests.tui.engine_double import ME, drain, server, status


def test_page_of_a_server_has_its_reason_failures_and_latencies() -> None:
    one = server("app", "s1")
    one["health_since"], one["changed_at"], one["changed_by"] = 90.0, 95.0, ME
    page = server_page(one, FULL, 100.0)
    for text in ("up for 10s, HTTP 200", "5s ago by alice", "connect_refused 2", "first byte", "p99.9"):
        assert text in page
    assert "connect_timeout" not in page


def test_page_tells_how_far_a_drain_is() -> None:
    one = server("app", "s1")
    one["admin"] = "drain"
    one["drain"] = drain(remaining_s=30, in_flight=2)
    assert "2 in flight, closed by force in 30s" in server_page(one, FULL, 100.0)
    one["drain"] = drain(remaining_s=30, in_flight=5, tunnels=1, oldest_s=70.0, remembered=12, finish_s=8.0, hard=True)
    told = "(hard), 5 in flight (1 tunnel), the oldest 1m10s, 12 clients remembered, done in about 8s, closed by force in 30s"
    assert told in server_page(one, FULL, 100.0)


def test_page_tells_what_the_agent_said() -> None:
    one = server("app", "s1")
    agent: AgentStatus = {
        "at": 90.0, "line": "drain", "error": "", "down": "", "no_new_clients": "drain", "percent": 100, "connections_max": 0,
    }  # fmt: skip
    one["agent"] = agent
    assert 'agent       10s ago: said "drain"' in server_page(one, FULL, 100.0)
    one["agent"] = {**agent, "line": "", "error": "cannot be asked: connection refused"}
    assert "agent       10s ago: said nothing; it cannot be asked: connection refused" in server_page(one, FULL, 100.0)
    one["agent"] = {**agent, "at": None}
    assert "agent       not asked yet" in server_page(one, FULL, 100.0)


def test_page_tells_what_share_and_what_limit_the_agent_asks_for() -> None:
    one = server("app", "s1")
    agent: AgentStatus = {
        "at": 90.0, "line": "", "error": "", "down": "", "no_new_clients": "", "percent": 50, "connections_max": 20,
    }  # fmt: skip
    one["agent"] = agent
    page = server_page(one, FULL, 100.0)
    assert "weight      100 (100 in the file), 50% of it by its agent" in page
    assert "limit       20 in flight by its agent (none in the file)" in page
    one["connections_max"] = 50
    assert "limit       20 in flight by its agent (50 in the file)" in server_page(one, FULL, 100.0)
    one["connections_max"] = 20
    one["agent"] = {**agent, "percent": 100}
    page = server_page(one, FULL, 100.0)
    assert "limit       20 in flight\n" in page
    assert "weight      100 (100 in the file)\n" in page


def test_page_tells_whether_new_clients_or_nobody_at_all_may_come() -> None:
    one = server("app", "s1")
    one["is_eligible"], one["no_new_clients"] = False, "its agent says drain"
    assert "NO NEW, takes no new clients: its agent says drain" in server_page(one, FULL, 100.0)
    one["is_for_nobody"], one["no_new_clients"] = True, "its agent says maint"
    assert "NOBODY, takes no clients at all: its agent says maint" in server_page(one, FULL, 100.0)


def test_page_of_a_server_that_is_gone_says_so() -> None:
    assert "not there" in server_page(None, FULL, 0.0)


def test_keys_stand_in_their_groups_beside_what_they_do() -> None:
    keys = {"CHANGE": [("d", "drain"), ("z", "undo"), ("q", "quit")], "LOOK": []}
    narrow = help_lines(keys, FULL, 60)
    assert narrow[:5] == ["CHANGE", " d           drain", " z           undo", " q           quit", ""]
    assert help_lines(keys, FULL, 80)[1] == f"{' d           drain':<38} q           quit"
    assert "LOOK" not in narrow
    assert all(any(line.startswith(f" {symbol}") for line in narrow) for symbol in "▲▼▶■·↑!")


def test_page_of_an_event_has_who_and_when_and_the_whole_sentence() -> None:
    event: Event = {
        "seq": 1,
        "at": 0.0,
        "kind": "weight_changed",
        "subject": "app/s1",
        "message": "weight of app/s1 is 50, was 100",
        "actor": ME,
        "before": 100,
        "after": 50,
    }
    for text in (":00", "weight_changed", "alice (uid 1000, pid 4711)", "weight of app/s1 is 50, was 100"):
        assert text in event_page(event)
    assert "by          -" in event_page({**event, "actor": None})
    assert "changed     100 -> 50" in event_page(event)
    assert "->" not in event_page({**event, "before": None, "after": None})
    assert "action      no. 7" in event_page(event, [("action", "no. 7")])


def test_node_that_drains_or_waits_to_be_confirmed_says_so_before_all_else() -> None:
    engine = status([server("app", "s1")])["engine"]
    assert node_state(engine, 100.0, duration) == "serving"
    engine["drain"] = {
        "phase": "draining", "since": 0.0, "timeout_s": 300.0, "remaining_s": 70.0, "connections": 3, "in_flight": 1,
        "finish_s": None,
    }  # fmt: skip
    assert node_state(engine, 100.0, duration) == "NODE DRAINING 1m10s"
    engine["configuration"], engine["confirm_by"] = 12, 130.0
    assert node_state(engine, 100.0, duration) == "CONFIRM 12 IN 30s"
