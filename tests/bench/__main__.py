"""`python -m tests.bench NAME`: one of the benchmarks.

Responsible for choosing the benchmark and for turning what goes wrong into one sentence and an exit status.
Knows nothing of what is measured. Invariant: SIGTERM ends a run as Ctrl-C does, so that nothing it started
stays behind.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

from tests.bench import balance, bulk, checks, connections, faults, hostile, http, new, reloads, tls, watch
from tests.bench.options import parse
from tests.bench.process import BenchError

_BENCHES = {
    "http": http.run,
    "bulk": bulk.run,
    "connections": connections.run,
    "tls": tls.run,
    "hostile": hostile.run,
    "new": new.run,
    "balance": balance.run,
    "checks": checks.run,
    "faults": faults.run,
    "reloads": reloads.run,
    "watch": watch.run,
}
# Imported late: the peers can be measured while lbapp itself cannot be imported.
_WITH_THEIR_OWN_OPTIONS = ("picks", "lists", "hands", "soak", "tui", "cluster")


def main(argv: Sequence[str]) -> int:
    """Run one benchmark. Returns 0 done, 1 failed, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if argv and argv[0] in _WITH_THEIR_OWN_OPTIONS:
            return int(import_module(f"tests.bench.{argv[0]}").main(list(argv[1:])))
        options = parse(argv)
        return _BENCHES[options.bench](options)
    except BenchError as error:
        print(f"! {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("! stopped; nothing was left running", file=sys.stderr)
        return 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
