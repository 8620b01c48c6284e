"""`lbapp dns`: the publisher as a process.

Responsible for its log, for the signals that end it, and for its exit status. Knows nothing of what it does meanwhile. Invariant:
0 when the zone is as it should be at the end, 1 when it could not be reached then.
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from random import Random

import anyio

from lbapp.cluster.dns.asking import asked_engine
from lbapp.cluster.dns.publisher import Pauses, Publisher
from lbapp.control.paths import default_socket
from lbapp.model.dns import DnsSettings


def run_dns(settings: DnsSettings, socket: Path | None) -> int:
    """Keep a node's records until SIGTERM, SIGINT or SIGHUP; return the exit status. `socket` goes before what the file says."""
    logging.basicConfig(
        stream=sys.stderr,
        format="lbapp[%(process)d] %(levelname)s %(message)s",
        level=logging.INFO,
        force=True,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each call
    where = socket or (Path(settings.socket) if settings.socket else default_socket())
    return 0 if anyio.run(_run, settings, where) else 1


async def _run(settings: DnsSettings, socket: Path) -> bool:
    async with asked_engine(socket) as engine, anyio.create_task_group() as tasks:
        publisher = Publisher(settings, engine, Pauses(), Random())

        async def end_on_signal() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                async for _ in signals:
                    publisher.stopping.set()

        tasks.start_soon(end_on_signal)
        is_done = await publisher.run()
        tasks.cancel_scope.cancel()
    return is_done
