"""Weights into an operator's file: nothing else in it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbapp.cli.save import save_into, with_weights
from lbapp.control.changes import Difference
from lbapp.model.errors import LbappError

TEXT = """\
# The head of the file.
[[listener]]
name = "web"   # for everybody
bind = "127.0.0.1:0"
pool = "app"

[[pool]]
server = [
  { name = "s0", address = "127.0.0.1:10" }, # short
]
name = "app"

[[pool]]
name = "other"

  [[pool.server]]
  address = "127.0.0.1:1"   # the old one
  name = "s1"
  weight   = 0x10 # little

  [[pool.server]]
  name = "s2" # no weight yet
  address = "127.0.0.1:2"
"""


def different(on: str, now: int, setting: str = "weight") -> Difference:
    return {"on": on, "setting": setting, "in_file": 100, "now": now, "action": None}


def test_weights_are_set_and_all_else_stays_as_it_was() -> None:
    after, saved = with_weights(TEXT, [different("other/s1", 7), different("other/s2", 8), different("app/s0", 9)])
    assert len(saved) == 3
    assert "  weight   = 7 # little\n" in after
    assert "weight = 8" in after
    assert "weight = 9" in after
    changed = set(after.splitlines()) ^ set(TEXT.splitlines())
    assert all("weight" in line or "s0" in line for line in changed)
    assert after.index("# The head") == 0


def test_what_has_no_place_in_the_file_is_left_and_said(tmp_path: Path) -> None:
    path = tmp_path / "lbapp.toml"
    path.write_text(TEXT)
    saved, left = save_into(path, [different("other/gone", 1), different("other/s1", 0, "state")], is_dry=False)
    assert (saved, [each["on"] for each in left]) == ([], ["other/s1", "other/gone"])
    assert path.read_text() == TEXT


def test_file_keeps_its_mode_its_link_and_has_no_rest_beside(tmp_path: Path) -> None:
    path, link = tmp_path / "real.toml", tmp_path / "link.toml"
    path.write_text(TEXT)
    path.chmod(0o640)
    link.symlink_to(path)
    save_into(link, [different("other/s1", 7)], is_dry=False)
    assert "weight   = 7" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link.toml", "real.toml"]  # noqa: PTH208


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lbapp.toml"
    path.write_text(TEXT)
    saved, _ = save_into(path, [different("other/s1", 7)], is_dry=True)
    assert len(saved) == 1
    assert path.read_text() == TEXT


def test_file_that_is_gone_or_not_valid_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LbappError, match="cannot be read: there is no such file"):
        save_into(tmp_path / "none.toml", [], is_dry=False)
    path = tmp_path / "lbapp.toml"
    path.write_text(TEXT.replace("pool = ", "pol = "))
    with pytest.raises(LbappError):
        save_into(path, [different("other/s1", 7)], is_dry=False)
    assert "0x10" in path.read_text()
