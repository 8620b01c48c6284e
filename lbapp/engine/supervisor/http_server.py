"""A small HTTP server inside the supervisor's own event loop.

Responsible for running uvicorn as one task among others. Knows nothing of what is asked or of who asks: that is the protocol's
and the application's. Invariant: signals stay the supervisor's.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from asyncio import Protocol
from collections.abc import Generator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

_CLOSING_S: Final = 1  # for answers under way when it ends


class HttpServer(uvicorn.Server):
    """uvicorn as one task of the supervisor: `serve_at` runs until `should_exit` is set."""

    def __init__(self, app: ASGIApp, protocol: type[Protocol]) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSING_S,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to the supervisor."""
        yield

    def stop_accepting(self) -> None:
        """Leave callers that come from now on to another engine, which listens at the same address."""
        for each in self.servers:
            each.close()

    async def serve_at(self, listening: socket.socket) -> None:
        """Serve on a bound socket, which is closed at the end."""
        await self.serve(sockets=[listening])
