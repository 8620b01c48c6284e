"""Where each server can be reached: names turned into addresses, at start and again every RESOLVE_INTERVAL_S.

Responsible for the map from a server's row to its socket addresses. Knows nothing of health or of who
connects.

Invariants: a name that cannot be resolved now keeps its last answer; a name that never could be leaves its
servers out of the map; each change of mind is one event; a slow resolver never delays more than its own
names.
"""

from __future__ import annotations

import socket
from typing import Final

import anyio

from lbapp.engine.channel import AddressesChanged, SocketAddress
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.lookup import Answer, Lookup
from lbapp.engine.supervisor.running import Running, Tell
from lbapp.model.entities import Server
from lbapp.model.limits import RESOLVE_INTERVAL_S, RESOLVE_TIMEOUT_S

_AT_ONCE: Final = 64  # questions to the resolver


class Resolver:
    """The addresses of every server. `addresses` is replaced, never changed, when an answer is another."""

    def __init__(self, running: Running, events: Events) -> None:
        self.addresses: dict[int, tuple[SocketAddress, ...]] = {}
        self._servers = [(running.rows.servers[server.id], server) for server in running.configuration.servers]
        self._events = events
        self._lookup = Lookup()
        self._answers: dict[str, Answer] = {}
        self._failing: set[str] = set()

    async def resolve(self) -> bool:
        """Ask for every name once, some at a time; say whether `addresses` changed."""
        names = {server.host for _, server in self._servers if server.is_named}
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(self._ask, name, limiter)
        found = {row: addresses for row, server in self._servers if (addresses := self._addresses_of(server))}
        changed, self.addresses = found != self.addresses, found
        return changed

    async def run(self, tell: Tell) -> None:
        """Ask again and again, and tell the workers when something changed."""
        if not any(server.is_named for _, server in self._servers):
            return
        while True:
            await anyio.sleep(RESOLVE_INTERVAL_S)
            if await self.resolve():
                tell(AddressesChanged(self.addresses))

    def _addresses_of(self, server: Server) -> tuple[SocketAddress, ...]:
        if server.is_named:
            return tuple((family, ip, server.port) for family, ip in self._answers.get(server.host, ()))
        if server.is_unix:
            return ((int(socket.AF_UNIX), server.host, 0),)
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        return ((int(family), server.host, server.port),)

    async def _ask(self, name: str, limiter: anyio.CapacityLimiter) -> None:
        answer: Answer = ()
        reason = f"no answer within {RESOLVE_TIMEOUT_S:g} s"
        async with limiter:
            try:
                with anyio.move_on_after(RESOLVE_TIMEOUT_S):
                    answer = await self._lookup.ask(name)
            except (OSError, UnicodeError) as error:
                reason = getattr(error, "strerror", None) or str(error)
        self._take(name, answer, reason)

    def _take(self, name: str, answer: Answer, reason: str) -> None:
        before = self._answers.get(name)
        if not answer:
            if name not in self._failing:
                kept = ", ".join(ip for _, ip in before) if before else "its servers have no address"
                message = (
                    f"cannot resolve {name}: {reason}; kept: {kept}"
                    if before
                    else f"cannot resolve {name}: {reason}; {kept}"
                )
                self._events.add("name_not_resolved", name, message)
            self._failing.add(name)
            return
        if name in self._failing or (before is not None and set(before) != set(answer)):
            found = ", ".join(ip for _, ip in answer)
            self._events.add("name_resolved", name, f"{name} is now {found}")
        self._failing.discard(name)
        if before is None or set(before) != set(answer):  # another order alone is no change
            self._answers[name] = answer
