"""What `lbapp why` prints of a decision."""

from __future__ import annotations

import pytest

from lbapp.cli.context import say
from lbapp.control.telling import describe
from tests.cli.harness import run
from tests.control.test_telling import DECISION


def test_what_an_engine_says_never_reaches_the_terminal_raw(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b]0;owned\x07\x9b31m\r\u202e"
    say(
        describe(
            {
                **DECISION,
                "client": hostile,
                "pool": hostile,
                "server": hostile,
                "by": hostile,
                "key": hostile,
                "note": hostile,
                "remembered": hostile,
                "candidates": [{"server": hostile, "score": hostile}],
                "skipped": [{"server": hostile, "reason": hostile}],
            },
            is_preview=False,
        )
    )
    printed = capsys.readouterr().out
    assert "owned" in printed
    assert all(letter.isprintable() for line in printed.split("\n") for letter in line)


def test_question_about_a_client_names_one_pool() -> None:
    for arguments in (("--for", "192.0.2.1"), ("--key", "v"), ("app", "--client", "192.0.2.1", "--for", "192.0.2.1")):
        result = run("why", *arguments)
        assert result.exit_code == 2
        assert "lbapp why POOL --for ADDRESS" in result.stderr
