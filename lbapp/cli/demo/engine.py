"""The demo's engine: `lbapp run` that ends with its standard input.

Responsible for stopping the engine and removing the demo's folder when the keeper is gone. Knows nothing of what is
in the folder but the configuration. Invariant: the engine itself is the very one that `lbapp run` runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from lbapp.cli.fleet_maker import make_fleet
from lbapp.engine.main import run_engine


def main(folder: Path) -> int:
    """Run the engine on `folder`/lbapp.toml; return its exit status."""
    has_ended = threading.Event()

    def stop_at_end_of_input() -> None:
        # Not through sys.stdin: a thread inside its buffer holds a lock that the end of the interpreter needs. It waits a
        # second for it, then aborts.
        while os.read(0, 4096):
            pass
        has_ended.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    try:
        return run_engine(folder / "lbapp.toml", folder / "control.sock", make_fleet)
    finally:
        if has_ended.is_set():
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
