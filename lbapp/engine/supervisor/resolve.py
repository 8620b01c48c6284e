"""Where each server can be reached: names turned into addresses, at start and again when an answer has run out.

Responsible for the map from a server's row to its socket addresses. Knows nothing of health or of who
connects.

Invariants: a name that cannot be resolved now keeps its last answer; a name that never could be leaves its
servers out of the map; each change of mind is one event; a slow resolver never delays more than its own
names.
"""

from __future__ import annotations

import contextlib
import socket
from random import Random
from typing import Final

import anyio

from lbapp.engine.channel import AddressesChanged, SocketAddress
from lbapp.engine.supervisor.dns import Dns, DnsFailed
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.lookup import Answer, Lookup
from lbapp.engine.supervisor.running import Running, Tell
from lbapp.model.entities import Server
from lbapp.model.limits import RESOLVE_INTERVAL_S, RESOLVE_RETRY_MAX_S, RESOLVE_RETRY_S, RESOLVE_TIMEOUT_S

_AT_ONCE: Final = 64  # questions to the resolver
_TTL_TIMEOUT_S: Final = 2.0  # for how long an answer holds is not worth more


class Resolver:
    """The addresses of every server. `addresses` is replaced, never changed, when an answer is another."""

    def __init__(self, running: Running, events: Events, random: Random | None = None) -> None:
        self.addresses: dict[int, tuple[SocketAddress, ...]] = {}
        self._servers = {running.rows.servers[server.id]: server for server in running.configuration.servers}
        self._events = events
        self._random = random or Random()
        nameservers = running.configuration.engine.nameservers
        self._dns = Dns(nameservers)
        self._lookup = None if nameservers else Lookup()
        self._answers: dict[str, Answer] = {}
        self._due_s: dict[str, float] = {}  # by the event loop's clock
        self._failing: dict[str, int] = {}  # how often in a row

    def take_over(self, former: Resolver) -> None:
        """Know what a generation before has been told, and for how long it holds."""
        names = {server.host for server in self._servers.values() if server.is_named}
        for name in names & former._due_s.keys():
            self._due_s[name] = former._due_s[name]
        for name in names & former._answers.keys():
            self._answers[name] = former._answers[name]
        for name in names & former._failing.keys():
            self._failing[name] = former._failing[name]
        self._read()

    def _read(self) -> bool:
        found = {row: addresses for row, server in self._servers.items() if (addresses := self._addresses_of(server))}
        changed, self.addresses = found != self.addresses, found
        return changed

    async def resolve(self, *, only_due: bool = False) -> bool:
        """Ask for every name once, some at a time; say whether `addresses` changed. `only_due`: whose answer has run out."""
        names = {server.host for server in self._servers.values() if server.is_named}
        if only_due:
            now_s = anyio.current_time()
            names = {name for name in names if self._due_s.get(name, 0.0) <= now_s}
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(self._ask, name, limiter)
        return self._read()

    async def run(self, tell: Tell) -> None:
        """Ask again and again, and tell the workers when something changed."""
        if not any(server.is_named for server in self._servers.values()):
            return
        while True:
            await anyio.sleep_until(min(self._due_s.values(), default=anyio.current_time() + RESOLVE_INTERVAL_S))
            if await self.resolve(only_due=True):
                tell(AddressesChanged(self.addresses))

    def put(self, row: int, server: Server | None) -> None:
        """Take over that another server, of an address and not of a name, has a row; None: nobody has it any more."""
        self.addresses = {key: each for key, each in self.addresses.items() if key != row}
        self._servers.pop(row, None)
        if server is not None:
            self._servers[row] = server
            self.addresses[row] = self._addresses_of(server)

    def _addresses_of(self, server: Server) -> tuple[SocketAddress, ...]:
        if server.is_named:
            return tuple((family, ip, server.port) for family, ip in self._answers.get(server.host, ()))
        if server.is_unix:
            return ((int(socket.AF_UNIX), server.host, 0),)
        return ((_family_of(server.host), server.host, server.port),)

    async def _ask(self, name: str, limiter: anyio.CapacityLimiter) -> None:
        answer: Answer = ()
        ttl_s = RESOLVE_INTERVAL_S
        reason = f"no answer within {RESOLVE_TIMEOUT_S:g} s"
        async with limiter:
            try:
                with anyio.move_on_after(RESOLVE_TIMEOUT_S):
                    answer, ttl_s = await self._answer(name)
            except (OSError, UnicodeError, DnsFailed) as error:
                reason = getattr(error, "strerror", None) or str(error)
        self._take(name, answer, reason)
        failures = self._failing.get(name, 0)
        if failures:
            longest_s = min(RESOLVE_RETRY_S * 2**failures, RESOLVE_RETRY_MAX_S)
            ttl_s = self._random.uniform(longest_s / 2, longest_s)
        self._due_s[name] = anyio.current_time() + ttl_s

    async def _answer(self, name: str) -> tuple[Answer, float]:
        """Return the addresses of a name and how long they hold.

        The system's own resolver knows more than DNS (its file of hosts, for one) and says nothing of times: so it is asked for
        the addresses, and DNS for the time.
        """
        if self._lookup is None:
            answered = await self._dns.addresses(name)
            return tuple((_family_of(host), host) for host in answered.values), answered.ttl_s
        answer = await self._lookup.ask(name)
        ttl_s = RESOLVE_INTERVAL_S
        if name not in self._answers:
            return answer, ttl_s  # the engine starts: that need not wait for the time
        with anyio.move_on_after(_TTL_TIMEOUT_S), contextlib.suppress(DnsFailed):
            ttl_s = (await self._dns.addresses(name)).ttl_s
        return answer, ttl_s

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
            self._failing[name] = self._failing.get(name, 0) + 1
            return
        if name in self._failing or (before is not None and set(before) != set(answer)):
            found = ", ".join(ip for _, ip in answer)
            self._events.add("name_resolved", name, f"{name} is now {found}")
        self._failing.pop(name, None)
        if before is None or set(before) != set(answer):  # another order alone is no change
            self._answers[name] = answer


def _family_of(host: str) -> int:
    return int(socket.AF_INET6 if ":" in host else socket.AF_INET)
