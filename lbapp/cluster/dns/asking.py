"""The engine, as `lbapp dns` knows it: by three calls of its control API.

Responsible for asking and telling, and for taking whatever comes back for what it is: an answer of the right shape, or silence.
Knows nothing of DNS. Invariant: no call raises, and none takes longer than `TIMEOUT_S`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio

from lbapp.control import calls
from lbapp.control.calls import Call
from lbapp.control.client import AsyncControlClient
from lbapp.control.fleet import DnsReport, FleetStatus
from lbapp.model.errors import LbappError

_LOG: Final = logging.getLogger(__name__)
TIMEOUT_S: Final = 2.0
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Heard:
    """What the engine says of its node. `reasons`: why it is not ready, each one sentence."""

    is_ready: bool
    reasons: tuple[str, ...] = ()


class AskedEngine:
    """An engine behind its control socket."""

    def __init__(self, client: AsyncControlClient) -> None:
        self._client = client

    async def readiness(self) -> Heard:
        """Ask whether the node is ready; silence and nonsense are no."""
        answer = await self._ask(calls.ready())
        if isinstance(answer, str):
            return Heard(False, (answer,))
        if not isinstance(answer, dict) or not isinstance(answer.get("ready"), bool):
            return Heard(False, ("the engine says nothing that can be read of whether it is ready",))
        reasons = answer.get("reasons")
        return Heard(answer["ready"], tuple(map(str, reasons)) if isinstance(reasons, list) else ())

    async def fleet(self) -> FleetStatus | None:
        """Ask for the fleet; None: no answer of the right shape."""
        answer: Any = await self._ask(calls.fleet())
        return answer if _is_fleet(answer) else None

    async def tell(self, report: DnsReport) -> None:
        """Tell what has become of the records. An engine that does not listen does without."""
        failed = await self._ask(calls.report_records(report))
        if isinstance(failed, str):
            _LOG.debug("the engine was not told: %s", failed)

    async def _ask(self, call: Call[_Answer]) -> _Answer | str:
        """Carry a call out; return a sentence where there is no answer."""
        try:
            with anyio.fail_after(TIMEOUT_S):
                return await self._client.ask(call)
        except TimeoutError:
            return f"the engine has not answered within {TIMEOUT_S:g} s"
        except LbappError as error:
            return error.message


@asynccontextmanager
async def asked_engine(socket: Path) -> AsyncIterator[AskedEngine]:
    """Open a client to the engine on a socket, whether there is one or not."""
    client = AsyncControlClient(socket)
    try:
        yield AskedEngine(client)
    finally:
        with anyio.CancelScope(shield=True):
            await client.close()


def _is_fleet(answer: object) -> bool:
    if not isinstance(answer, dict) or not isinstance(answer.get("members"), list):
        return False
    members = all(
        isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("is_alive"), bool)
        for each in answer["members"]
    )
    return members and all(isinstance(answer.get(key), str) for key in ("fleet", "node", "state"))
