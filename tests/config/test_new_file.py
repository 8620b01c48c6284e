"""A file that was not there before is written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lbapp.config.new_file import write_new
from lbapp.model.errors import LbappError


def test_file_and_its_folder_are_made_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "f.toml"
    write_new(file, "a = 1\n")
    assert file.read_text() == "a = 1\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(file.parent.iterdir()) == [file]


def test_file_that_is_there_stays_unless_asked(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    with pytest.raises(LbappError, match="is there already"):
        write_new(file, "new")
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])
    write_new(file, "new", may_replace=True)
    assert file.read_text() == "new"


def test_place_where_nothing_can_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(LbappError, match="f is no folder"):
        write_new(tmp_path / "f" / "g", "")
    with pytest.raises(LbappError, match="is a folder"):
        write_new(tmp_path, "")
