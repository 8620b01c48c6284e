"""What the console looks at while it is measured.

Responsible for an engine on a socket that can be started, killed and started again: messages made ahead of time, or a whole
engine without traffic or checks. Knows nothing of consoles. Invariant: it has ended when its `with` block is left.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.bench.process import HOST, BenchError, Program
from tests.bench.stand_in import many_servers

_READY_TIMEOUT_S: Final = 60.0


class LookedAt:
    """One engine of so many servers, its files in `folder`."""

    def __init__(self, servers: int, folder: Path, *, is_real: bool) -> None:
        self.control = folder / "c.sock"
        if is_real:
            configuration = folder / "lbapp.toml"
            configuration.write_text(_configuration(servers, folder))
            arguments = ["-m", "lbapp", "run", "-c", str(configuration), "--socket", str(self.control)]
        else:
            arguments = ["-m", "tests.bench.stand_in", str(self.control), str(servers)]
        self._program = Program("engine", [sys.executable, *arguments], folder)

    def __enter__(self) -> Self:
        self.begin()
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self.accepts():
            if time.monotonic() > deadline:
                raise BenchError(f"no engine answers on {self.control} after {_READY_TIMEOUT_S:.0f} s")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.__exit__(kind, error, trace)

    def begin(self) -> None:
        """Start it, without waiting for it. Raises BenchError when it has ended at once."""
        self._program.__enter__()

    def kill(self) -> None:
        """Kill all of its processes."""
        for pid in reversed(self._program.pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._program.__exit__(None, None, None)

    def accepts(self) -> bool:
        """Say whether somebody listens on its control socket."""
        with socket.socket(socket.AF_UNIX) as asking:
            return asking.connect_ex(str(self.control)) == 0


def _configuration(servers: int, folder: Path) -> str:
    pools: dict[str, list[str]] = {}
    for one in many_servers(servers):
        text = f'[[pool.server]]\nname = "{one["name"]}"\naddress = "{one["address"]}"\n'
        pools.setdefault(one["pool"], []).append(text)
    head = (
        f'[engine]\nworkers = 1\nstate_dir = "{folder}"\n[[listener]]\nname = "web"\nbind = "{HOST}:0"\npool = "p01"\n'
    )
    return head + "".join(
        f'[[pool]]\nname = "{pool}"\n[pool.health_check]\ntype = "none"\n{"".join(listed)}'
        for pool, listed in pools.items()
    )
