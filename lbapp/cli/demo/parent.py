"""How the demo's processes notice that whoever started them is gone.

Responsible for one thing: a process that was given a pipe as its standard input ends when the pipe does. Knows
nothing of what the process does. Invariant: the end comes however the parent went, kill -9 included.
"""

from __future__ import annotations

import os
import sys

import anyio


async def wait_for_end_of_input() -> None:
    """Return when standard input ends: nothing is ever written to it."""
    while True:
        await anyio.wait_readable(sys.stdin)
        if not os.read(sys.stdin.fileno(), 4096):
            return
