"""The access log of a whole engine under load: complete, rotated, changed by a reload, and never in anybody's way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.worker.harness import TcpServer, answering
from tests.system.harness import Engine, Load, listener_toml, pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system


@contextmanager
def logging_engine(tmp_path: Path, table: str) -> Iterator[Engine]:
    servers = {name: TcpServer(answering(name.encode())) for name in ("s1", "s2")}
    toml = listener_toml("app") + pool_toml("app", {name: each.port for name, each in servers.items()})
    try:
        with running_engine(tmp_path, f"[access_log]\n{table}\n" + toml) as engine:
            yield engine
    finally:
        for server in servers.values():
            server.close()


def requests(engine: Engine) -> int:
    return sum(each["requests_total"] for each in engine.status()["listeners"])


def test_every_request_is_one_line_of_one_of_the_files_however_often_they_are_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with logging_engine(tmp_path, f'to = "file:{path}"') as engine:
        with Load(engine.port()) as load:
            for number in range(5):
                answered = load.answered
                wait_for(lambda at=answered: load.answered > at + 100)  # type: ignore[misc]
                path.rename(tmp_path / f"access.log.{number}")
                engine.process.send_signal(signal.SIGUSR1)
                wait_for(path.exists)
        wait_for(lambda: requests(engine) == load.answered)  # an exchange is counted behind its last byte
    lines = [json.loads(line) for each in tmp_path.glob("access.log*") for line in each.read_text().splitlines()]
    assert load.failures == []
    assert len(lines) == load.answered
    assert {line["outcome"] for line in lines} == {"completed"}
    assert {line["server"] for line in lines} == {"app/s1", "app/s2"}


def test_log_that_takes_nothing_under_load_loses_lines_and_no_request_and_says_so(tmp_path: Path) -> None:
    full, fifo = tmp_path / "full.log", tmp_path / "fifo"
    full.symlink_to("/dev/full")
    os.mkfifo(fifo)  # that nobody reads
    with logging_engine(tmp_path, f'to = "file:{full}"') as engine, Load(engine.port()) as load:
        wait_for(lambda: "log_lines_dropped" in engine.events())
        configuration = tmp_path / "lbapp.toml"
        configuration.write_text(configuration.read_text().replace(str(full), str(fifo)))
        with engine.client() as client:
            assert client.reload({})["applied"]
        answered = load.answered
        wait_for(lambda: load.answered > answered + 300)
        wait_for(lambda: "log_lines_written" in engine.events(), 30)
    assert load.failures == []
    assert "cannot write the access log" in engine.log.read_text()


def test_reload_changes_the_log_and_refuses_one_that_cannot_be_written(tmp_path: Path) -> None:
    path, other = tmp_path / "access.log", tmp_path / "other.log"
    with logging_engine(tmp_path, f'to = "file:{path}"') as engine:
        with Load(engine.port()) as load:
            wait_for(lambda: load.answered > 50)
            configuration = tmp_path / "lbapp.toml"
            text = configuration.read_text()
            configuration.write_text(text.replace(str(path), str(tmp_path / "missing" / "x.log")))
            engine.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "reload_refused" in engine.events())
            configuration.write_text(text.replace(f'"file:{path}"', f'"file:{other}"\nformat = "httplog"'))
            engine.process.send_signal(signal.SIGHUP)
            wait_for(lambda: other.exists() and " web app/s" in other.read_text())
        wait_for(lambda: requests(engine) == load.answered)
    assert load.failures == []
    assert path.read_text().count("\n") + other.read_text().count("\n") == load.answered
