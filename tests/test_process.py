"""What a process is to the system around it."""

from __future__ import annotations

import subprocess
import sys


def test_process_has_the_name_that_it_gives_itself() -> None:
    code = "from lbapp.process import name_process; name_process('lbapp-worker'); print(open('/proc/self/comm').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "lbapp-worker"
