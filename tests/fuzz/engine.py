"""lbapp under the vectors: one worker, one server that records.

Responsible for starting both and for running vectors through them. Knows nothing of the vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lbapp.model.entities import Bind, Listener, Pool
from lbapp.model.limits import Limits
from tests.engine.worker.harness import running_worker, server
from tests.fuzz.judging import PATIENCE_S, Result, run_vector
from tests.fuzz.recorder import Recorder
from tests.fuzz.vectors.kinds import Vector

WORKERS = {False: "lbapp.engine.worker.run", True: "tests.fuzz.careful_worker"}


@dataclass
class Proxy:
    """A running proxy with a recorder behind it."""

    address: tuple[str, int]
    recorder: Recorder
    patience_s: float = PATIENCE_S

    def run(self, vector: Vector) -> Result:
        return run_vector(vector, self.address, self.recorder, self.patience_s)


@contextmanager
def running_lbapp(*, is_careful: bool = False) -> Iterator[Proxy]:
    """Run one worker; `is_careful`: without the grammar."""
    recorder = Recorder()
    listener = Listener("web", (Bind("127.0.0.1", 0),), pool="app")
    pool = Pool("app", (server("one", recorder.port),))
    try:
        with running_worker(
            (listener,), (pool,), Limits(request_body_bytes_max=1 << 20), module=WORKERS[is_careful]
        ) as worker:
            yield Proxy(("127.0.0.1", worker.ports["web"]), recorder)
    finally:
        recorder.close()
