"""Queries about the past that are refused."""

from __future__ import annotations

from pathlib import Path

from tests.engine.supervisor.support import engine, toml


def test_query_with_an_unknown_word_or_figure_is_refused_with_what_there_is(tmp_path: Path) -> None:
    with engine(tmp_path, toml([1])) as running, running.control() as control:
        for query, hint in (("span=60", "There are window, pool"), ("window=61", "There are 10, 60, 300")):
            answer = control.get(f"/v1/latency?{query}")
            assert (answer.status_code, answer.json()["error"]["hint"]) == (422, hint)
        assert control.get("/v1/latency?pool=nothing").status_code == 404
        assert control.get("/v1/latency").json()["pools"][0]["name"] == "app"
