from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbapp.engine.supervisor.kept_drain import KeptDrain, LeftOff, Standing, standing_of

DRAIN: LeftOff = {
    "step": "clients", "since": 1.5, "wished_at": 2.5, "step_since": 3, "asked_at": 3, "timeout_s": 60, "then_stop": True,
    "has_drained": False, "has_closed": False,
}  # fmt: skip
STANDING: Standing = {"drain": DRAIN, "reports": {"dns": {"any": 1}}}


def test_what_was_written_is_read_and_the_file_is_there_only_while_the_node_drains(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "drain"
    kept = KeptDrain(path)
    kept.write({"drain": None, "reports": {}})
    assert not path.exists()
    kept.write(STANDING)
    assert KeptDrain(path).read() == STANDING
    assert path.stat().st_mode & 0o777 == 0o600
    kept.write({"drain": None, "reports": {}})
    assert KeptDrain(path).read() is None
    assert list(path.parent.iterdir()) == []


def test_what_an_engine_before_has_left_is_removed_by_one_that_does_not_drain(tmp_path: Path) -> None:
    KeptDrain(tmp_path / "drain").write(STANDING)
    KeptDrain(tmp_path / "drain").write({"drain": None, "reports": {}})
    assert KeptDrain(tmp_path / "drain").read() is None


def test_nothing_is_written_while_another_engine_writes(tmp_path: Path) -> None:
    kept = KeptDrain(tmp_path / "drain")
    kept.pause()
    kept.write(STANDING)
    assert kept.read() is None
    kept.go_on()
    kept.write(STANDING)
    assert kept.read() == STANDING
    kept.pause()
    KeptDrain(tmp_path / "drain").write({"drain": None, "reports": {}})
    kept.go_on()
    kept.write(STANDING)
    assert kept.read() == STANDING, "the other engine came to nothing"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_leaves_nothing_older_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptDrain(tmp_path / "drain")
    kept.write(STANDING)

    def full(_: int) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")

    with monkeypatch.context() as patched:
        patched.setattr("lbapp.control.state_file.os.fsync", full)
        for step in ("routes", "serving"):
            with pytest.raises(OSError, match="No space left on device"):
                kept.write({"drain": {**DRAIN, "step": step}, "reports": {}})
            assert list(tmp_path.iterdir()) == []
    kept.write(STANDING)
    assert kept.read() == STANDING


@pytest.mark.parametrize(
    "found",
    [
        None, [], {"drain": {}}, {"drain": {**DRAIN, "step": "sideways"}}, {"drain": {**DRAIN, "asked_at": "noon"}},
        {"drain": {**DRAIN, "timeout_s": float("nan")}},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_nothing(tmp_path: Path, found: Any) -> None:
    assert standing_of(found) is None
    (tmp_path / "drain").write_text(json.dumps(found))
    assert KeptDrain(tmp_path / "drain").read() is None


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_file_of_ours_is_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "drain").write_bytes(data)
    assert KeptDrain(tmp_path / "drain").read() is None


def test_reports_of_another_kind_are_left_out() -> None:
    assert standing_of({"drain": DRAIN, "reports": "none"}) == {"drain": DRAIN, "reports": {}}
