"""Processes of tests that end with the test that started them, whatever becomes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a process that the block has end. Where the block fails it is killed; `subprocess.Popen` itself would wait for it."""
    process: subprocess.Popen[Any] = subprocess.Popen(command, **options)
    try:
        with process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
    finally:
        process.kill()  # nothing, where it has ended
