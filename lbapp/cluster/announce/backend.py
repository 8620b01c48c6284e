"""What every backend is to the rest: somebody who tells routers, or other nodes, what was decided.

Responsible for that port and for its values. Knows nothing of any daemon. Invariant: a backend is told what is to hold, not
what to change; told the same again it looks whether that still holds, and makes it so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from lbapp.cluster.announce.decision import RouteState
from lbapp.control.fleet import SessionReport
from lbapp.model.errors import LbappError

SETTLE_TIMEOUT_S = 5.0  # of one `settle`: the daemons are on this machine, and answer within milliseconds


class BackendFailed(LbappError):
    """The daemon does not do as it was told, or does not answer. It is told again before long."""


class BackendEnded(LbappError):
    """The daemon is gone, and this process with it: it is the service manager's to start both."""


@dataclass(frozen=True, slots=True)
class Found:
    """How it stands at the daemon. `notes`: what it had other than it was told before, one sentence each."""

    sessions: tuple[SessionReport, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Will:
    """What withdraws the addresses without this process: commands to a BIRD at the socket `path`, or the text of that file."""

    path: str
    commands: tuple[str, ...] = ()
    text: str = ""


class Backend(Protocol):
    """A backend that is running. Leaving it ends what it has begun; withdrawing comes before that, by `settle`."""

    @property
    def will(self) -> Will | None:
        """What is to be done where this process is gone; None: the daemon is gone with it."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something has changed at the daemon, until cancelled. It spares nobody the regular looks."""

    async def settle(self, state: RouteState) -> Found:
        """Have this state hold, and return how it stands. Raises BackendFailed, BackendEnded."""
