from __future__ import annotations

from lbapp.tui.exchange_words import capture_page, ended, exchange_page, session_page, timing_line, why_words
from lbapp.tui.glyphs import FULL
from tests.tui.exchange_lines import row
from tests.tui.looks_double import capture, decision, session


def test_page_of_a_request_fits_and_has_every_field() -> None:
    one = row(request_id="7f3a", persistence=["none", "inserted"], attempts=2)
    page = exchange_page(one, "because", FULL)
    assert max(len(line) for line in page.splitlines()) <= 76
    for text in (
        "192.0.2.9:51322 -> web -> app/s1", "GET /api/v1/items?page=2 HTTP/1.1", "shop.example", "attempts    2",
        "300 B in, 8.1 KiB out", "none, inserted", "request id  7f3a", "queue              0", "connect        1.0ms",
        "body+retry", "total           14ms", "because",
    ):  # fmt: skip
        assert text in page
    assert "trace id" not in page


def test_who_ended_it_is_said_with_the_phase() -> None:
    one = row(ended_by="client", phase="body", outcome="client_gone")
    assert ended(one) == "by client in phase body: client gone"
    assert ended(row()) == "completed"


def test_phases_in_one_line_have_bars_of_their_share() -> None:
    line = timing_line(row(queue_us=7_000, connect_us=0, first_byte_us=7_000, total_us=14_000), 100, FULL)
    assert len(line) <= 100
    assert "connect 0 " in line
    bars = line.split()
    assert bars[2] == bars[7]
    assert bars[-2:] == ["total", "14ms"]


def test_phase_that_was_not_reached_is_a_dash() -> None:
    assert "wait -  body -" in timing_line(row(connect_us=None, first_byte_us=None), 80, FULL)


def test_decision_of_the_request_itself_is_told_and_no_other() -> None:
    own, other = decision(), decision(port=9, server="app/s9")
    before = decision(at=own["at"] - 0.6, server="app/s8")
    text = why_words(row(server="app/s2"), [other, before, own], [decision(server="app/s7")])
    assert "app/s2 by round_robin" in text
    assert not any(server in text for server in ("app/s7", "app/s8", "app/s9"))


def test_decision_for_another_server_is_that_of_another_request_of_the_connection() -> None:
    text = why_words(row(server="app/s1"), [decision(server="app/s2")], [decision(server="app/s7")])
    assert "No decision of this request was recorded" in text
    assert "app/s2" not in text.splitlines()[2]


def test_without_a_recorded_decision_it_is_said_how_one_would_be_made() -> None:
    text = why_words(row(), [decision(port=9)], [decision(server="app/s7")])
    assert "No decision of this request was recorded" in text
    assert "now: pool app -> app/s7" in text


def test_page_of_a_connection_has_what_it_carries() -> None:
    page = session_page(session(7, 12.4))
    for text in ("connection  7", "busy for    12.4s", "GET /export/7", "HEADERS", "192.0.2.9:40007"):
        assert text in page
    assert "busy for    -" in session_page(session(7, 0, method=None, target=None))


def test_page_of_a_malformed_head_marks_the_byte() -> None:
    page = capture_page(capture(), FULL)
    assert "at byte 6 of the head" in page
    assert page.splitlines()[-2:] == ["GET /a\\x00b HTTP/1.1\\x0d\\x0aHost: a\\x0d\\x0a", "      ^^^^"]
    assert "where       -" in capture_page(capture(offset=None, offset_is=None), FULL)
