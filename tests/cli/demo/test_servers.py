"""The demo's servers, as a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lbapp.cli.demo.servers import is_in_bad_mood
from tests.children import child
from tests.system.harness import request

pytestmark = pytest.mark.system


def test_only_one_server_is_moody_and_only_now_and_then() -> None:
    moments = range(200)
    assert not any(is_in_bad_mood("fast", now) for now in moments)
    share = sum(is_in_bad_mood("moody", now) for now in moments) / len(moments)
    assert 0.2 < share < 0.5


def test_servers_answer_until_their_input_ends() -> None:
    command = [sys.executable, "-m", "lbapp.cli.demo.servers"]
    with child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        kept = b"GET /one HTTP/1.1\r\nHost: h\r\n\r\nGET /two HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        answer = request(ports["fast"], kept)
        assert b"fast answers /one" in answer
        assert b"fast answers /two" in answer
        process.stdin.close()
        assert process.wait(25) == 0
