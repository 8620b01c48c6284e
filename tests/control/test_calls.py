from __future__ import annotations

import pytest

from lbapp.control import calls
from lbapp.model.amounts import Subject


@pytest.mark.parametrize(
    ("server_id", "path"),
    [
        ("app/s1", "/v1/pools/app/servers/s1"),
        ("a b/s?", "/v1/pools/a%20b/servers/s%3F"),
        ("a/b/c", "/v1/pools/a/servers/b%2Fc"),
    ],
)
def test_names_of_servers_cannot_leave_their_place_in_the_path(server_id: str, path: str) -> None:
    assert calls.server(server_id).path == path
    assert calls.patch_server(server_id, {"weight": 5}).path == path


def test_what_changes_something_is_known_from_what_looks() -> None:
    assert not calls.status().is_change
    assert not calls.course(Subject("server", "app/s1"), 60.0, 1).is_change
    for call in (calls.patch_node({"state": "drain"}), calls.undo({}), calls.close_session(3), calls.confirm({})):
        assert call.is_change


def test_history_is_asked_for_by_the_kind_of_its_subject() -> None:
    assert calls.course(Subject("pool", "app"), 60.0, 60).query == {"last": "60.000", "step": "60", "pool": "app"}
    assert calls.course(None, 60.0, 1).query == {"last": "60.000", "step": "1"}


def test_reload_may_take_as_long_as_names_and_workers_need() -> None:
    assert calls.reload({}).timeout_s > calls.status().timeout_s
