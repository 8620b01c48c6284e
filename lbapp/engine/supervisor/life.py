"""Where the engine is in its life, and the wish that it end.

Responsible for the phase, for the one place where SIGTERM, SIGINT and `POST /v1/stop` meet, and for waking
those who wait for either. Knows nothing of how stopping is done. Invariant: starting, serving, draining
follow in this order, never back.
"""

from __future__ import annotations

from typing import Literal

import anyio


class Life:
    """Phase and stop wish. `stop_timeout_s` is what the file says; a stop may name another."""

    def __init__(self, stop_timeout_s: float) -> None:
        self.phase: Literal["starting", "serving", "draining"] = "starting"
        self.timeout_s = stop_timeout_s
        self._stop = anyio.Event()
        self._now = anyio.Event()

    @property
    def is_stopping(self) -> bool:
        """Say whether a stop was asked for."""
        return self._stop.is_set()

    def take(self, stop_timeout_s: float) -> None:
        """Take over what another configuration says of a stop that has not been asked for."""
        if not self._stop.is_set():
            self.timeout_s = stop_timeout_s

    def stop(self, timeout_s: float | None = None) -> None:
        """Ask for a clean stop within `timeout_s` (default: the configured one).

        Later wishes change nothing.
        """
        if not self._stop.is_set():
            self.timeout_s = self.timeout_s if timeout_s is None else timeout_s
            self._stop.set()

    def stop_now(self) -> None:
        """Ask for an end without waiting for anything in flight."""
        self._stop.set()
        self._now.set()

    async def stop_asked(self) -> None:
        """Wait until a stop is asked for."""
        await self._stop.wait()

    async def stop_now_asked(self) -> None:
        """Wait until an immediate end is asked for."""
        await self._now.wait()
