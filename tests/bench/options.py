"""What a benchmark run was asked for.

Responsible for the command line of `python -m tests.bench` and for the one value that carries it around.
Knows nothing of proxies. Invariant: what is in an Options has been checked; a benchmark never has to refuse
it again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_Value = TypeVar("_Value")

BALANCE_CASES = ("unequal", "fair", "sinkhole", "slow")
SEEING = ("lbapp-log", "lbapp-ids", "lbapp-all")  # measured where they are asked for
PEER_NAMES = ("lbapp", *SEEING, "haproxy", "nginx", "envoy", "traefik", "caddy")


@dataclass(frozen=True, slots=True)
class Options:
    """One run. `only` empty: every peer. `count`: connections; `megabytes`: size of a body.

    `workers` and `case` are those of `balance`, `rate` its and that of `faults`, `servers` of `checks` and `watch`. `brief`:
    it is to be seen that it works, not what the figures are.
    """

    bench: str
    rounds: int = 5
    seconds: int = 4
    only: tuple[str, ...] = ()
    json: Path | None = None
    count: int = 5_000
    megabytes: int = 100
    workers: int = 1
    case: str = "unequal"
    rate: int = 800
    servers: int = 1_000
    brief: bool = False

    def effort(self, whole: _Value, brief: _Value) -> _Value:
        """Return how often or how long something is done for a figure: `whole`, or `brief` if only that is asked for."""
        return brief if self.brief else whole

    @property
    def peers(self) -> tuple[str, ...]:
        """The names of the peers to measure, lbapp first."""
        return self.only or tuple(name for name in PEER_NAMES if name not in SEEING)


def parse(argv: Sequence[str]) -> Options:
    """Read the command line. Exits with status 2 and a sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "bench",
        choices=(
            "http",
            "bulk",
            "connections",
            "tls",
            "hostile",
            "new",
            "balance",
            "checks",
            "faults",
            "reloads",
            "picks",
            "watch",
        ),
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=_positive, default=4, help="length of one HTTP round (default 4)")
    parser.add_argument("--only", type=_names, default=(), help="peers to measure, such as lbapp,haproxy")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    parser.add_argument("--count", type=_positive, default=5_000, help="idle or hostile connections (default 5000)")
    parser.add_argument("--servers", type=_positive, default=1_000, help="servers of checks and watch (default 1000)")
    parser.add_argument("--megabytes", type=_positive, default=100, help="size of a bulk body (default 100)")
    parser.add_argument("--workers", type=_positive, default=1, help="workers of each proxy under balance (default 1)")
    parser.add_argument("--case", choices=BALANCE_CASES, default="unequal", help="servers of balance (default unequal)")
    parser.add_argument(
        "--rate", type=_positive, default=800, help="requests a second of balance and faults (default 800)"
    )
    parser.add_argument("--brief", action="store_true", help="short waits and few changes: to see that it works")
    return Options(**vars(parser.parse_args(argv)))


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in PEER_NAMES]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"unknown peer {', '.join(unknown)}; known: {', '.join(PEER_NAMES)}")
    return names
