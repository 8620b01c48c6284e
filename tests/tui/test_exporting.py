from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbapp.tui.exporting import write_lines


def test_every_item_is_a_line_of_json(tmp_path: Path) -> None:
    items = [{"seq": 1, "message": "é"}, {"seq": 2}]
    assert write_lines(tmp_path / "a.jsonl", items) == 2
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == items


def test_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    there = tmp_path / "a.jsonl"
    there.write_text("mine")
    with pytest.raises(FileExistsError):
        write_lines(there, [{}])
    assert there.read_text() == "mine"


def test_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_lines(tmp_path / "nowhere" / "a.jsonl", [{}])
