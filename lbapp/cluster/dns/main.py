"""`lbapp dns`: the publisher as a process.

Responsible for its log, for what its service manager is told, for the signals that end it, and for its exit status. Knows nothing
of what it does meanwhile.

Invariants: 0 when the zone is as it should be at the end, 1 when it could not be reached then; the service manager takes it for
started when its file is valid and a signal would end it in order, whether or not the zone's server answers; one that hangs is
ended.
"""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from random import Random

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from lbapp.cluster.dns.asking import asked_engine
from lbapp.cluster.dns.publisher import Pauses, Publisher
from lbapp.cluster.dns.turning import keep_watch
from lbapp.control.notify import notify
from lbapp.control.paths import default_socket
from lbapp.model.dns import DnsSettings
from lbapp.process import begin_log


def run_dns(settings: DnsSettings, socket: Path | None) -> int:
    """Keep a node's records until SIGTERM, SIGINT or SIGHUP; return the exit status. `socket` goes before what the file says."""
    begin_log("lbapp", "lbapp dns")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each call
    where = socket or (Path(settings.socket) if settings.socket else default_socket())
    return 0 if anyio.run(_run, settings, where) else 1


async def _run(settings: DnsSettings, socket: Path) -> bool:
    async with asked_engine(socket) as engine, anyio.create_task_group() as tasks:
        publisher = Publisher(settings, engine, Pauses(), Random())

        async def end_on_signal(*, task_status: TaskStatus[None]) -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                task_status.started()
                async for _ in signals:
                    publisher.stopping.set()
                    await anyio.to_thread.run_sync(notify, "STOPPING=1")

        await tasks.start(end_on_signal)
        # Whether the server of the zone answers yet says nothing about this process.
        await anyio.to_thread.run_sync(notify, "READY=1")
        tasks.start_soon(keep_watch, publisher.turns)  # not before: each of them says its word in a thread of its own
        is_done = await publisher.run()
        tasks.cancel_scope.cancel()
    return is_done
