from __future__ import annotations

import pytest

from lbapp.tui.event_columns import AREAS, area_of, event_fields, event_kind, happening_kind, level_of, tone_of
from lbapp.tui.filtering import parse
from lbapp.tui.glyphs import FULL
from tests.tui.happened import ENGINE, event


@pytest.mark.parametrize(
    ("kind", "area"),
    [
        ("server_went_down", "checks"),
        ("pool_failed_over", "checks"),
        ("admin_state_changed", "admin"),
        ("ramp_aborted", "admin"),
        ("configuration_applied", "config"),
        ("reload_refused", "config"),
        ("worker_died", "node"),
        ("upgrade_done", "node"),
        ("certificate_expires_soon", "tls"),
    ],
)
def test_every_event_is_of_one_area(kind: str, area: str) -> None:
    found = event(kind=kind, actor=ENGINE)
    assert area_of(found) == area
    assert area in AREAS


def test_what_is_not_known_is_an_operators_where_one_did_it() -> None:
    assert area_of(event(kind="something_new")) == "admin"
    assert area_of(event(kind="something_new", actor=None)) == "checks"


@pytest.mark.parametrize(
    ("kind", "after", "level"),
    [
        ("server_went_down", None, ("▼", "bad")),
        ("worker_died", None, ("!", "bad")),
        ("history_not_written", None, ("!", "bad")),
        ("history_written", None, ("▲", "good")),
        ("name_not_resolved", None, ("!", "warn")),
        ("name_resolved", None, ("▲", "good")),
        ("configuration_reverted", None, ("!", "warn")),
        ("server_came_up", None, ("▲", "good")),
        ("admin_state_changed", "drain", ("▶", "warn")),
        ("admin_state_changed", "maint", ("■", "calm")),
        ("admin_state_changed", "ready", ("▲", "good")),
        ("weight_changed", 50, ("·", "plain")),
    ],
)
def test_how_bad_an_event_is_has_a_symbol_and_a_tone(kind: str, after: object, level: tuple[str, str]) -> None:
    assert level_of(event(kind=kind, after=after), FULL) == level


@pytest.mark.parametrize(
    "text", ["kind:admin", "area=admin", "subject:s1", "pool=app", "server=app/s1", "who=alice", "seq=1", "drain"]
)
def test_events_are_found_by_every_field(text: str) -> None:
    wanted = parse(text, event_fields())
    assert (wanted.problem, wanted.matches(event())) == ("", True)
    assert not parse(f"!{text}", event_fields()).matches(event())


def test_columns_give_text_for_every_event() -> None:
    kind = happening_kind(FULL, lambda _event: "no. 7")
    texts = {column.title: column.text(event(actor=None)) for column in kind.columns}
    assert texts["what"] == "is now DRAIN, was READY"
    assert (texts["kind"], texts["lv"], texts["who"], texts["undo"]) == ("ADMIN", "▶", "-", "no. 7")
    assert all(column.order(event()) is not None for column in kind.columns)
    assert kind.is_problem(event(kind="server_went_down"))
    assert not kind.is_problem(event(kind="server_came_up"))


def test_short_list_of_events_shows_what_is_bad_in_its_tone() -> None:
    kind = event_kind()
    assert kind.is_problem(event(kind="server_went_down"))
    assert tone_of(event(kind="server_went_down")) == "bad"
    assert [column.text(event()) for column in kind.columns][-1] == "alice"
