"""The backend that tells a running BIRD.

Responsible for which of its protocols are enabled, and for what it says of its sessions. Knows nothing of why. Invariants: at
every look the protocols are compared with what is to hold, so that a BIRD that was restarted, or changed by hand, is set again;
a new route is up before the one that it replaces goes down; a protocol that BIRD lacks keeps no other from being withdrawn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio

from lbapp.cluster.announce.backend import BackendFailed, Found, Will
from lbapp.cluster.announce.bird_socket import BirdSocket, ProtocolRow
from lbapp.cluster.announce.bird_text import GOOD, WORSE, vip_word
from lbapp.cluster.announce.decision import RouteState
from lbapp.control.fleet import SessionReport
from lbapp.model.announce import AnnounceSettings

_PREFIX: Final = {RouteState.ANNOUNCED: GOOD, RouteState.DRAINED: WORSE}
_DOWN: Final = "down"
_UP: Final = "up"
_AGAIN_S: Final = 0.5  # until a BIRD that is away is listened to again


class Bird:
    """A BIRD on this machine, as long as it runs."""

    def __init__(self, settings: AnnounceSettings) -> None:
        self._words = [vip_word(address) for address in settings.addresses]
        self._path = Path(settings.bird_socket)
        self._socket = BirdSocket(self._path)
        self._told: RouteState | None = None

    @property
    def will(self) -> Will:
        """Disable all protocols of ours, also those of other files."""
        return Will(str(self._path), tuple(f'disable "{prefix}*"' for prefix in (GOOD, WORSE)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._socket.close()

    async def watch(self, wake: Callable[[], None]) -> None:
        """Listen to what BIRD says unasked: `birdc configure` disables what was enabled, and every moment of that counts."""
        notices = BirdSocket(self._path)
        try:
            while True:
                with contextlib.suppress(BackendFailed):  # `settle` says so
                    await notices.notices(wake)
                await anyio.sleep(_AGAIN_S)
        finally:
            with anyio.CancelScope(shield=True):
                await notices.close()

    async def settle(self, state: RouteState) -> Found:
        """Enable the protocols of this state and disable all others of ours; withdrawn, those of other files as well."""
        rows = await self._socket.protocols()
        needed = [prefix + word for prefix in (GOOD, WORSE) for word in self._words]
        wanted = {_PREFIX[state] + word for word in self._words} if state in _PREFIX else set()
        is_all = state is RouteState.WITHDRAWN
        ours = [name for name in rows if name in needed or (is_all and name.startswith((GOOD, WORSE)))]
        other = [name for name in ours if (rows[name].state != _DOWN) is not (name in wanted)]
        for name in sorted(other, key=lambda name: name not in wanted):
            await self._socket.ask(f"{'enable' if name in wanted else 'disable'} {name}")
        notes: tuple[str, ...] = ()
        if other and self._told is state:
            notes = (f"BIRD had {', '.join(other)} other than it was told: it was restarted, or changed by hand",)
        self._told = state
        absent = [name for name in needed if name not in rows]
        if absent:  # only now: what is there had to be told, above all that it is to go
            hint = "Give it the configuration of this file: lbapp announce -c FILE --print bird"
            raise BackendFailed(f"BIRD has no protocol {absent[0]}", hint)
        sessions = [row for row in rows.values() if row.kind == "BGP"]
        has_bfd = any(row.kind == "BFD" and row.state == _UP for row in rows.values())
        bfd = (
            await self._socket.bfd() if sessions and has_bfd else {}
        )  # without such a protocol, BIRD refuses to answer
        return Found(tuple(_session(row, bfd) for row in sessions), notes)


def _session(row: ProtocolRow, bfd: dict[str, str]) -> SessionReport:
    state = " ".join(row.info.split()) or row.state
    is_up = row.state == _UP
    return {"name": row.name, "state": state, "is_up": is_up, "since": row.since, "bfd": bfd.get(row.neighbor, "")}
