"""What the operator changes: sent one after the other, told in words, undone by a key.

Responsible for sending a change to the engine, for the sentence that says how it went, and for the console's own last
change. Knows nothing of keys or dialogs. Invariants: changes go to ids, never to rows, and in the order they were asked
for; undo touches a server only while it still is as this console left it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import anyio

from lbapp.control import calls
from lbapp.control.changes import ServerPatch
from lbapp.control.messages import AdminWord, ServerStatus
from lbapp.model.errors import LbappError
from lbapp.model.states import WEIGHT_MAX
from lbapp.tui.feed import Feed
from lbapp.tui.format import clean
from lbapp.tui.scene import ServerRow


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a change went, as one sentence."""

    message: str
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class _Made:
    server_id: str
    before: dict[str, str | int]
    after: dict[str, str | int]


class Changes:
    """The changes of one console."""

    def __init__(self, feed: Feed, told: Callable[[Outcome], None]) -> None:
        self._feed = feed
        self._told = told
        self._last: _Made | None = None
        self._turn = anyio.Lock()

    async def set_state(self, server_id: str, state: AdminWord) -> None:
        """Ask for an admin state, and tell how it went."""
        async with self._turn:
            await self._send(server_id, {"state": state})

    async def set_weight(self, server_id: str, weight: int) -> None:
        """Ask for a weight, and tell how it went."""
        async with self._turn:
            await self._send(server_id, {"weight": weight})

    async def add_weight(self, server_id: str, step: int) -> None:
        """Ask for `step` more, between 1 and WEIGHT_MAX: taking a server's clients away is asked for by name."""
        async with self._turn:
            server = self._server(server_id)
            if server is None:
                return
            weight = max(min(server.weight, 1), min(WEIGHT_MAX, server.weight + step))
            if weight == server.weight:
                self._told(Outcome(f"{server_id} stays at weight {weight}: + and - go from 1 to {WEIGHT_MAX}"))
            else:
                await self._send(server_id, {"weight": weight})

    async def undo(self) -> None:
        """Take back the last change of this console, unless somebody changed the server since."""
        async with self._turn:
            made = self._last
            server = self._feed.scene.server(made.server_id) if made and self._feed.scene else None
            if made is None or server is None:
                self._told(Outcome("there is nothing to undo", is_refused=True))
                return
            now: dict[str, str | int] = {"state": server.admin, "weight": server.weight}
            if any(now.get(field) != value for field, value in made.after.items()):
                name = f" by {server.changed_by}" if server.changed_by else ""
                message = f"{made.server_id} was changed{name} since; nothing undone"
                self._told(Outcome(message, is_refused=True))
                return
            if await self._send(made.server_id, cast(ServerPatch, made.before), is_undo=True):
                self._last = None

    def _server(self, server_id: str) -> ServerRow | None:
        """Return a server; None, and it is told, when there is no such any more."""
        server = self._feed.scene.server(server_id) if self._feed.scene else None
        if server is None:
            self._told(Outcome(f"{server_id} is not there any more", is_refused=True))
        return server

    async def _send(self, server_id: str, patch: ServerPatch, *, is_undo: bool = False) -> bool:
        server = self._server(server_id)
        if server is None:
            return False
        wish = ", ".join(f"{field} {_upper(cast(str | int, value))}" for field, value in patch.items())
        self._told(Outcome(f"{server_id}: asking for {wish}"))
        try:
            # The operator has seen what it does and said yes, or takes something back.
            change = await self._feed.ask(calls.patch_server(server.target.id, {**patch, "force": True}))
        except LbappError as error:
            self._told(Outcome(clean(str(error)), is_refused=True))
            return False
        self._feed.adopt(change["server"])
        before, after = change["before"], change["after"]
        fields = [field for field in after if before.get(field) != after[field]]
        if fields:
            self._last = _Made(server_id, {f: before[f] for f in fields}, {f: after[f] for f in fields})
        words = _words(server_id, before, after, fields, change["server"])
        if is_undo:
            self._told(Outcome(f"undone: {words}"))
        else:
            self._told(Outcome(f"{words}   (z undoes)" if fields else words))
        return True


def _words(
    server_id: str,
    before: dict[str, str | int],
    after: dict[str, str | int],
    fields: list[str],
    server: ServerStatus,
) -> str:
    if not fields:
        return f"{server_id} is so already: {server['admin'].upper()}, weight {server['weight']}"
    parts = [f"{field} {_upper(before[field])} -> {_upper(after[field])}" for field in fields]
    return f"{server_id}: {', '.join(parts)}"


def _upper(value: str | int) -> str:
    return clean(str(value)).upper()
