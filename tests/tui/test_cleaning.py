from __future__ import annotations

from lbapp.tui.cleaning import Target, clean_event, clean_server, clean_status, clean_value
from tests.tui.engine_double import ME, server, status


def test_texts_are_cleaned_wherever_they_stand() -> None:
    assert clean_value({"a\n": ["\x1b", 1, None, {"b": "\t"}]}) == {"a·": ["·", 1, None, {"b": "·"}]}


def test_ids_that_look_alike_stay_apart_and_lead_to_their_real_server() -> None:
    cleaned, targets = clean_status(status([server("app", "s\x1b"), server("app", "s\n")]))
    assert [one["id"] for one in cleaned["pools"][0]["servers"]] == ["app/s·", "app/s·~2"]
    assert targets == {"app/s·": Target("app", "s\x1b"), "app/s·~2": Target("app", "s\n")}


def test_server_and_event_are_cleaned() -> None:
    assert clean_server(server("app", "s\n"))["name"] == "s·"
    event = clean_event(
        {
            "seq": 1,
            "at": 0,
            "kind": "k",
            "subject": "s",
            "message": "a\x1bb",
            "actor": ME,
            "before": None,
            "after": None,
        }
    )
    assert event["message"] == "a·b"
