"""Driving a proxy with wrk.

Responsible for the requests file and Lua script that wrk reads, for running it (one thread, keep-alive) and
for what it counted. Knows nothing of proxies or CPU time. Invariant: a Load counts every failure that wrk
saw, of any kind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.heads import request_heads
from tests.bench.process import HOST, BenchError

CONNECTIONS = 32
REQUESTS_DIFFERENT = 4_096

# Building a request costs wrk more than sending it, so all are built before it starts.
_SCRIPT = """
local requests, picked = {}, 0
function init(args)
   local file = assert(io.open("@FILE@", "rb"))
   local text = file:read("*a")
   file:close()
   local from = 1
   while from <= #text do
      local to = text:find("\\r\\n\\r\\n", from, true)
      requests[#requests + 1] = text:sub(from, to + 3)
      from = to + 4
   end
end
function request()
   picked = picked + 1
   if picked > #requests then picked = 1 end
   return requests[picked]
end
function done(summary, latency, _)
   local failed = summary.errors
   io.write(string.format(
      'FIGURES {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d,' ..
      ' "statuses": %d, "breaks": %d}\\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      failed.status, failed.connect + failed.read + failed.write + failed.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk counted. `statuses`: answers of 400 and more; `breaks`: broken and timed out."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    statuses: int
    breaks: int

    @property
    def errors(self) -> int:
        """Failures of every kind."""
        return self.statuses + self.breaks

    @property
    def requests_per_s(self) -> float:
        """Completed requests in a second."""
        return self.requests / (self.duration_us / 1e6)


class Wrk:
    """wrk with its script and requests in `folder`."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("wrk")
        if program is None:
            raise BenchError("wrk is not installed: apt-get install wrk")
        heads = request_heads(REQUESTS_DIFFERENT)
        self._script = _script(folder, "requests", heads)
        self._closing_script = _script(folder, "closing", [_closing(head) for head in heads])
        self._program = program

    def drive(self, port: int, seconds: int, *, scheme: str = "http", is_closing: bool = False) -> Load:
        """Send as fast as the proxy answers, for `seconds`. Raises BenchError when wrk fails.

        `is_closing`: each request on a connection of its own.
        """
        script = self._closing_script if is_closing else self._script
        command = [self._program, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
        command += ["--script", str(script), f"{scheme}://{HOST}:{port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
        for line in done.stdout.splitlines():
            if line.startswith("FIGURES "):
                return Load(**json.loads(line.removeprefix("FIGURES ")))
        raise BenchError(f"wrk failed with status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")


def _script(folder: Path, name: str, heads: list[bytes]) -> Path:
    requests, script = folder / f"{name}.txt", folder / f"{name}.lua"
    requests.write_bytes(b"".join(heads))
    script.write_text(_SCRIPT.replace("@FILE@", str(requests)))
    return script


def _closing(head: bytes) -> bytes:
    return head.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
