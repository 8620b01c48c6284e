"""What a process is to the system around it, and what it writes where systemd reads it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.journal_stream import JournalStream

_SAYS = """
import logging, sys
from lbapp.process import begin_log, for_stderr
begin_log("lbapp", "this test")
log = logging.getLogger("lbapp.some")
log.debug("not said")
log.info("one")
log.warning("two\\nthree")
log.error("four")
sys.stderr.write(for_stderr("five\\nsix") + "\\n")
raise LookupError("nobody foresaw this")
"""
_SAID = [
    ("<6>", r"lbapp\[\d+\] INFO one"),
    ("<4>", r"lbapp\[\d+\] WARNING two"),
    ("<4>", "three"),
    ("<3>", r"lbapp\[\d+\] ERROR four"),
    ("<3>", "five"),
    ("<3>", "six"),
    ("<2>", r"lbapp\[\d+\] CRITICAL an error in lbapp itself ends this test\. Please report what follows"),
    ("<2>", r"Traceback \(most recent call last\):"),
    ("<2>", '  File "<string>", line 11, in <module>'),
    ("<2>", "LookupError: nobody foresaw this"),
]


def test_process_has_the_name_that_it_gives_itself() -> None:
    code = "from lbapp.process import name_process; name_process('lbapp-worker'); print(open('/proc/self/comm').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "lbapp-worker"


def test_every_line_to_the_journal_has_its_priority() -> None:
    with JournalStream() as journal:
        done = subprocess.run([sys.executable, "-c", _SAYS], stderr=journal.end, env=journal.environment, check=False)
        lines = journal.lines()
    assert done.returncode == 1
    assert len(lines) == len(_SAID), lines
    for line, (priority, words) in zip(lines, _SAID, strict=True):
        assert re.fullmatch(priority + words, line), line


@pytest.mark.parametrize("stream", ["of another", "", "8", "8:x"])
def test_no_line_has_a_priority_where_stderr_is_no_stream_to_the_journal(stream: str) -> None:
    with JournalStream() as journal:
        environment = {**journal.environment, **({} if stream == "of another" else {"JOURNAL_STREAM": stream})}
        done = subprocess.run(
            [sys.executable, "-c", _SAYS], capture_output=True, env=environment, check=False, text=True
        )
    lines = done.stderr.splitlines()
    assert len(lines) == len(_SAID), lines
    for line, (_, words) in zip(lines, _SAID, strict=True):
        assert re.fullmatch(words, line), line
