"""`python -m tests.bench reloads`: what it costs those being served when an engine's file, its code or its process is another.

Responsible for an engine of two workers under an open loop of requests while its configuration is reloaded again and again, while
engines take each other's place, and while it is killed under a service manager that keeps its sockets. Knows nothing of how lbapp
carries any of it out. Invariant: every request of the loop is counted, whatever became of it.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lbapp.control.client import ControlClient
from lbapp.model.errors import EngineUnreachable
from tests.bench.faults import WORKERS, Place, Served
from tests.bench.options import Options
from tests.bench.process import BenchError
from tests.bench.table import format_table, machine_facts, show_facts, write_json
from tests.system.service_manager import ServiceManager

# In a round, and in a brief one.
RELOADS: Final = 20, 5
KILLS: Final = 2, 1
_ALGORITHMS: Final = ("round_robin", "least_connections", "ip_hash", "least_response_time")
_PAUSE_S: Final = 0.1  # before each change and behind it
_SPARE_S: Final = 20.0  # of a load, for a slow machine


@dataclass(frozen=True, slots=True)
class Measured:
    """What one kind of change came to. `took_ms`: each of them, ascending."""

    took_ms: list[float]
    served: Served


def run(options: Options) -> int:
    """Measure, print the table, return the exit status: 1 if a request failed."""
    facts = machine_facts({})
    with tempfile.TemporaryDirectory(prefix="lbapp-bench-") as name, ExitStack() as stack:
        place = Place(stack, Path(name))
        kinds = {
            "reload": _reload(place, options),
            "upgrade": _upgrade(place, options),
            "kill -9, sockets kept": _kill(place, options),
        }
    print(f"\n{WORKERS} workers, {options.rate} requests a second")
    print(show_facts(facts) + "\n")
    columns = ("change", "times", "p50 ms", "max ms", "answers meanwhile", "errors")
    print(format_table(columns, [_row(kind, found) for kind, found in kinds.items()]))
    write_json(options.json, "reloads", facts, {"lbapp": [{kind: asdict(found) for kind, found in kinds.items()}]})
    return 1 if any(found.served.errors for found in kinds.values()) else 0


def _row(kind: str, found: Measured) -> list[str]:
    took = found.took_ms
    errors = ", ".join(f"{count} {what}" for what, count in found.served.errors.items()) or "0"
    return [kind, str(len(took)), f"{took[len(took) // 2]:.0f}", f"{took[-1]:.0f}", str(found.served.answers), errors]


def _timed(times: int, change: Callable[[int], None], place: Place, rate: int, seconds: float) -> Measured:
    took = []
    with place.load(rate, seconds + _SPARE_S) as served:
        time.sleep(_PAUSE_S)
        for number in range(times):
            began_s = time.monotonic()
            change(number)
            took.append((time.monotonic() - began_s) * 1e3)
            time.sleep(_PAUSE_S)
    return Measured(sorted(took), served[0])


def _reload(place: Place, options: Options) -> Measured:
    source, text = random.Random(options.rounds), place.configuration.read_text()
    times = options.rounds * options.effort(*RELOADS)
    with place.engine() as engine:
        engine.wait_for_port(place.port)
        with ControlClient(place.control) as client:

            def change(number: int) -> None:
                weights = text.replace('address = "', f'weight = {source.randint(1, 256)}\naddress = "')
                algorithm = f'name = "app"\nalgorithm = "{_ALGORITHMS[number % len(_ALGORITHMS)]}"\n[pool.health_check]'
                place.configuration.write_text(weights.replace('name = "app"\n[pool.health_check]', algorithm))
                if not client.reload({})["applied"]:
                    raise BenchError("a reload had nothing to do")

            found = _timed(times, change, place, options.rate, times * 1.0)
    place.configuration.write_text(text)
    return found


def _upgrade(place: Place, options: Options) -> Measured:
    with place.engine() as engine:
        engine.wait_for_port(place.port)

        def change(_number: int) -> None:
            with ControlClient(place.control) as client:
                client.upgrade("bench")

        try:
            return _timed(options.rounds, change, place, options.rate, options.rounds * 10.0)
        finally:
            _end(place)


def _end(place: Place) -> None:
    """End the last of the engines, which is no child of ours."""
    with suppress(EngineUnreachable), ControlClient(place.control) as client:
        pid = client.status()["engine"]["pid"]
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 40
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)


def _kill(place: Place, options: Options) -> Measured:
    arguments = ["-m", "lbapp", "run", "-c", str(place.configuration), "--socket", str(place.control)]
    times = options.rounds * options.effort(*KILLS)
    with ServiceManager(place.folder, arguments) as manager:
        _await_ready(manager, 1)

        def change(number: int) -> None:
            manager.kill()
            manager.start()
            _await_ready(manager, number + 2)

        return _timed(times, change, place, options.rate, times * 10.0)


def _await_ready(manager: ServiceManager, times: int) -> None:
    deadline = time.monotonic() + 30
    while sum("READY=1" in each for each in manager.said) < times:
        if time.monotonic() > deadline:
            raise BenchError("the engine does not serve; see its log")
        time.sleep(0.005)
