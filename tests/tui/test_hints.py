from __future__ import annotations

from pathlib import Path

from lbapp.tui.hints import HINT, first_hint, hints_file


def test_hint_is_given_once(tmp_path: Path) -> None:
    path = hints_file({"XDG_STATE_HOME": str(tmp_path / "state")})
    assert first_hint(path) == HINT
    assert first_hint(path) == ""
    assert path.is_relative_to(tmp_path / "state" / "lbapp")


def test_place_that_cannot_be_written_is_no_reason_to_greet_or_to_fail(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert first_hint(tmp_path / "file" / "lbapp" / "hinted") == ""
    assert hints_file({}).parts[-4:] == (".local", "state", "lbapp", "hinted")
