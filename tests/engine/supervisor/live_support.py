"""A follower of the live feed, and what it must know when it has taken in every line: what the Status says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from lbapp.control.live import unpacked, with_defaults
from lbapp.control.messages import DrainStatus, Status, Traffic

TABLES: Any = ("engine", "workers", "listeners", "pools", "servers")


@dataclass
class Follower:
    """One that follows: each row's state and figures by name."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)
    states: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    figures: dict[str, list[list[Any]]] = field(default_factory=dict)

    def take(self, line: bytes | str) -> dict[str, Any]:
        """Take in a line, and return it."""
        found: dict[str, Any] = json.loads(line)
        self.lines.append(found)
        for table in TABLES:
            rows = found.get(table, {})
            if found["kind"] == "whole":
                self.columns[table] = rows["columns"]
                self.states[table] = list(rows["states"])
                self.figures[table] = [[] for _ in rows["states"]]
            else:
                for row, state in rows.get("states", ()):
                    self.states[table][row] = state
            if "figures" in rows:
                found_figures = unpacked(rows["figures"]["values"])
                numbers = rows["figures"].get("rows", range(len(self.states[table])))
                for row, figures in zip(numbers, found_figures, strict=True):
                    self.figures[table][row] = list(figures)
        return found

    def rows(self, table: Any) -> list[dict[str, Any]]:
        """Return all rows of a table with all that is known of them."""
        return [
            {**with_defaults(table, state), **dict(zip(self.columns[table], figures, strict=True))}
            for state, figures in zip(self.states[table], self.figures[table], strict=True)
        ]

    def row(self, table: str, name: str) -> dict[str, Any]:
        """Return the row of a name."""
        return next(row for row in self.rows(table) if row["name"] == name)


_OF_THE_MOMENT = {"requests_per_s", "error_rate", "p50", "p90", "p99", "connections", "idle_connections", "in_flight"}


def check_same(follower: Follower, status: Status, *, is_of_same_moment: bool = False) -> None:
    """Fail unless a follower knows what a status says; of another moment, rates and gauges may be others."""
    at, left_out = status["at"], set() if is_of_same_moment else _OF_THE_MOMENT
    _check_engine(follower, status, is_of_same_moment=is_of_same_moment)
    _check_each(follower.rows("workers"), status["engine"]["workers"], left_out)
    _check_each(follower.rows("listeners"), status["listeners"], left_out)
    _check_each(follower.rows("pools"), status["pools"], left_out)
    servers = [server for pool in status["pools"] for server in pool["servers"]]
    rows = follower.rows("servers")
    _check_each(rows, servers, left_out)
    for row, server in zip(rows, servers, strict=True):
        assert f"{row['pool']}/{row['name']}" == server["id"]
        assert row["agent_percent"] == (server["agent"]["percent"] if server["agent"] else 100)
        assert row["probe"] == _streak(server)
        _check_drain(row["drain"], server["drain"], at)
    for row, pool in zip(follower.rows("pools"), status["pools"], strict=True):
        words = [one["health"] if one["admin"] == "ready" else one["admin"] for one in pool["servers"]]
        assert row["states"] == {word: words.count(word) for word in set(words)}
        assert row["queued"] == (pool["queue"]["queued"] if pool["queue"] else None)


def _check_engine(follower: Follower, status: Status, *, is_of_same_moment: bool) -> None:
    (engine,) = follower.rows("engine")
    cost = ("cpu_percent", "memory_bytes") if is_of_same_moment else ()
    for name in ("node", "pid", "phase", "generation", "configuration", "confirm_by", *cost):
        assert engine[name] == status["engine"][name], name  # type: ignore[literal-required]
    _check_drain(engine["drain"], status["engine"]["drain"], status["at"])


def _streak(server: Any) -> dict[str, Any] | None:
    """Return what is said of probes: only while they speak against the health. A success is the end of unknown."""
    probe = server["probe"]
    if probe is None or probe["is_success"] is (server["health"] != "down"):
        return None
    return {name: probe[name] for name in ("is_success", "streak")}


_TOLD_OTHERWISE = {"drain", "probe", "queue", "persistence", "silent_s", "queued", "turned_away", "ramp"}


def _check_each(rows: list[dict[str, Any]], wholes: Any, left_out: set[str]) -> None:
    assert len(rows) == len(wholes)
    for row, whole in zip(rows, wholes, strict=True):
        flat = {**whole, **(_flat(whole) if "latency" in whole else {})}
        told = row.keys() & flat.keys() - _TOLD_OTHERWISE - left_out
        assert {name: row[name] for name in told} == {name: flat[name] for name in told}
        if "turned_away" in row:
            assert row["turned_away"] == {name: count for name, count in whole["turned_away"].items() if count}
        if row.get("ramp") is not None or whole.get("ramp") is not None:
            assert row["ramp"]["after"] == whole["ramp"]["after"]
            assert row["ramp"]["until"] == pytest.approx(whole["ramp"]["until"], abs=1.1)


def _flat(traffic: Traffic) -> dict[str, Any]:
    total = traffic["latency"]["total"]
    return {**total, "responses_5xx_total": traffic["responses"]["5xx"]}


def _check_drain(told: dict[str, Any] | None, drain: Any, at: float) -> None:
    assert (told is None) is (drain is None)
    if told is None:
        return
    one: DrainStatus = drain
    for name in told.keys() & {"phase", "since", "timeout_s", "hard", "tunnels", "remembered"}:
        assert told[name] == one[name]  # type: ignore[literal-required]
    assert told["until"] - at == pytest.approx(one["remaining_s"], abs=1.1)
    if told.get("oldest_since") is not None:
        assert at - told["oldest_since"] == pytest.approx(one["oldest_s"], abs=1.1)
