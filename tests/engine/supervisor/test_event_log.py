"""Events on a real disk: there again after a restart, of limited size, and never in the way."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from lbapp.engine.supervisor import event_log as subject
from lbapp.engine.supervisor.event_log import EventLog
from lbapp.engine.supervisor.events import Events
from lbapp.model.limits import EVENTS_MAX
from tests.engine.supervisor.support import until


def filled(count: int, earlier: Events | None = None) -> Events:
    events = Events() if earlier is None else earlier
    for number in range(count):
        events.add("weight_changed", f"app/s{number}", "a \u00e9 message", change=(1, number))
    return events


@pytest.mark.anyio
async def test_events_are_written_as_they_happen_and_numbers_go_on(tmp_path: Path) -> None:
    log, events = EventLog(tmp_path / "deep" / "events"), Events()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log.run, events)
        filled(3, events)
        await until(lambda: len(EventLog(log.path).read()) == 3)
        filled(2, events)
        await until(lambda: len(EventLog(log.path).read()) == 5)
        events.close()
    again = Events(earlier=EventLog(log.path).read())
    assert again.after(0) == events.after(0)
    assert again.add("x", "y", "z")["seq"] == 6
    assert [event["seq"] for event in again.after(4)] == [5, 6]


def test_what_is_left_at_the_end_is_written_once(tmp_path: Path) -> None:
    log, events = EventLog(tmp_path / "events"), filled(4)
    log.write(events.after(0))
    log.write(events.after(0))
    assert (tmp_path / "events").read_bytes().count(b"\n") == 4


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    log.write(filled(3).after(0))
    lines = log.path.read_bytes().split(b"\n")
    rubbish = [b"\xff\xfe", b"{}", b"[]", json.dumps({**json.loads(lines[0]), "seq": "9"}).encode(), b"1"]
    log.path.write_bytes(b"\n".join([lines[0], *rubbish, lines[2]]) + b"\n" + lines[1][:20])
    assert [event["seq"] for event in EventLog(log.path).read()] == [1, 3]
    assert [event["seq"] for event in Events(earlier=EventLog(log.path).read()).after(1)] == [3]


def test_files_do_not_grow_without_end_and_the_last_events_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "EVENT_FILE_BYTES_MAX", 5_000)
    log, events = EventLog(tmp_path / "events"), Events()
    for _ in range(200):
        log.write(filled(1, events).after(0, 1))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    found = EventLog(log.path).read()
    assert found[-1]["seq"] == 200
    assert len(found) > 25


def test_no_more_are_read_than_are_kept_in_memory(tmp_path: Path) -> None:
    log, events = EventLog(tmp_path / "events"), Events(capacity=EVENTS_MAX + 10)
    log.write(filled(EVENTS_MAX + 10, events).after(0, EVENTS_MAX + 10))
    assert [event["seq"] for event in log.read()] == list(range(11, EVENTS_MAX + 11))


def test_place_that_cannot_be_written_is_said_once_and_nothing_is_lost_when_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("")
    log, events = EventLog(tmp_path / "folder" / "events"), filled(2)
    log.write(events.after(0))
    log.write(filled(1, events).after(0))
    assert [record.message for record in caplog.records if "not kept" in record.message] == [
        f"events are not kept on disk: {log.path}: File exists"
    ]
    (tmp_path / "folder").unlink()
    log.write(filled(1, events).after(0))
    assert len(log.read()) == 4
