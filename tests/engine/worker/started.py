"""Starting a worker without an interpreter of its own: what most of its tests would wait for.

Responsible for a process that has imported the worker and of which every worker is a fork. Knows nothing of what a worker is
told. That a worker starts by its command line, every test of a whole engine shows. Invariant: a worker is a process of its own
that has done nothing before its `main`.
"""

from __future__ import annotations

import multiprocessing
import socket
import sys
from importlib import import_module
from multiprocessing.process import BaseProcess

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__, "lbapp.engine.worker.run"])


def start(module: str, channel: socket.socket) -> BaseProcess:
    """Start a worker as `python -m module FD` does, with its end of the channel."""
    process = _forks.Process(target=_run, args=(module, channel))
    process.start()
    return process


def _run(module: str, channel: socket.socket) -> None:
    sys.argv = [module, str(channel.detach())]
    sys.exit(import_module(module).main())
