"""The demo's keeper, as far as it needs no processes; tests/system/test_demo.py has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.cli.demo.keeper import failure_in


def test_reason_is_the_last_line_and_what_stands_above_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "demo.log"
    log.write_text("Traceback\nNameError: x\nworker 0 ended before it served. Its error stands above\n")
    assert str(failure_in(log, "")) == "worker 0 ended before it served. Its error stands above"
    assert capsys.readouterr().err == "Traceback\nNameError: x\n"


def test_empty_log_leaves_the_reason_that_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "demo.log"
    log.touch()
    assert str(failure_in(log, "the engine does not answer")) == "the engine does not answer"
    assert capsys.readouterr().err == ""
