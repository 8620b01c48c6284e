from __future__ import annotations

import json
from typing import NotRequired, get_args, get_origin, get_type_hints

import pytest

from lbapp.control import live
from lbapp.control.live import COLUMNS, DEFAULTS, TableName, with_defaults, without_defaults

STATES = {
    "engine": live.EngineState,
    "workers": live.WorkerState,
    "listeners": live.ListenerState,
    "pools": live.PoolState,
    "servers": live.ServerState,
}


def test_what_is_left_out_of_a_state_comes_back_and_all_else_stays() -> None:
    state = {
        **DEFAULTS["servers"],
        "pool": "app",
        "name": "s1",
        "address": "192.0.2.1:80",
        "health_reason": "HTTP 200",
        "health_since": 1.5,
        "weight": 0,
        "is_eligible": False,
    }
    sent = without_defaults("servers", state)
    assert sorted(sent) == ["address", "health_reason", "health_since", "is_eligible", "name", "pool", "weight"]
    assert with_defaults("servers", json.loads(json.dumps(sent))) == state


def test_plain_healthy_server_takes_few_bytes() -> None:
    plain = {"pool": "app", "name": "s1000", "address": "192.0.2.100:8080", "health_reason": "HTTP 200"}
    sent = without_defaults("servers", {**DEFAULTS["servers"], **plain, "health_since": 1_764_000_000.123})
    assert len(json.dumps(sent, separators=(",", ":"))) < 150


@pytest.mark.parametrize("table", get_args(TableName))
def test_each_field_that_may_be_left_out_has_a_value_for_that(table: TableName) -> None:
    kind = STATES[table]
    hints = get_type_hints(kind, include_extras=True)
    assert set(DEFAULTS[table]) == {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
    assert len(set(COLUMNS[table])) == len(COLUMNS[table])
