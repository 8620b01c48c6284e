"""Files of an engine's state on a real disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lbapp.control.state_file import replace_file


def test_file_is_replaced_and_only_its_user_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "made" / "f"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_what_an_attempt_before_has_left_is_no_hindrance(tmp_path: Path) -> None:
    path, half = tmp_path / "f", tmp_path / "f.new"
    half.write_bytes(b"half of one that was long")
    half.chmod(0o644)
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_disk_that_takes_nothing_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")

    def full(_: int) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")

    monkeypatch.setattr("lbapp.control.state_file.os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        replace_file(path, b"two")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
