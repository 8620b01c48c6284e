"""Pools whose servers come and go with what a name stands for.

Responsible for asking for each such name when its answer has run out, for giving servers that appear a row and those that
disappear their end, and for telling checks and workers. Knows nothing of DNS itself (`dns`) or of which records make which
servers (policy.discovery).

Invariants: an answer that does not come, or is empty, leaves the servers as they are; a server that disappears gets nothing new
and finishes what it has, by force after its pool's drain timeout, and only then is its row free; every change is an event.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

import anyio

from lbapp.engine.channel import CloseServer, ServersChanged
from lbapp.engine.policy.discovery import Found, change, servers_of_srv
from lbapp.engine.scoreboard import totals
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.dns import Answered, Dns, DnsFailed
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.intents import Intents
from lbapp.engine.supervisor.running import Running, Tell
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.discovery import Discover, DiscoverType
from lbapp.model.entities import Pool, Server
from lbapp.model.limits import RESOLVE_RETRY_MAX_S, RESOLVE_RETRY_S

_LOOK_INTERVAL_S: Final = 0.25  # at servers that finish
_ADDRESSES_AT_ONCE: Final = 16


class AddressMap(Protocol):
    """Where servers can be reached, by row."""

    def put(self, row: int, server: Server | None) -> None:
        """Take over where the server of a row is; None: there is none any more."""


@dataclass(slots=True)
class _Discovered:
    """One pool. `present` by row; `leaving` rows with the monotonic time when force is used."""

    pool: Pool
    discover: Discover
    free: deque[int]
    present: dict[int, Found] = field(default_factory=dict)
    leaving: dict[int, float] = field(default_factory=dict)
    failure: str = ""
    left_out: int = 0


class Discovery:
    """The servers of all pools that are discovered. `tell`: a message to all workers."""

    def __init__(
        self,
        running: Running,
        states: ServerStates,
        events: Events,
        addresses: AddressMap,
        random: Random | None = None,
    ) -> None:
        self._running = running
        self._states = states
        self._events = events
        self._addresses = addresses
        self._random = random or Random()
        self._dns = Dns(running.configuration.engine.nameservers)
        self.checks: Checks | None = None  # once there are any
        self.drains: Drains | None = None
        self.intents: Intents | None = None
        self._tell: Tell = lambda _: None
        self._pools = [
            _Discovered(pool, pool.discover, deque(running.rows.reserved[pool.name][: pool.discover.servers_max]))
            for pool in running.configuration.pools
            if pool.discover is not None
        ]

    def servers(self) -> dict[str, dict[int, Server]]:
        """Return the servers that workers may choose from, by pool and row: of those pools that are discovered."""
        return {each.pool.name: self._servers_of(each) for each in self._pools}

    async def ask_all(self) -> None:
        """Ask for every name that has no answer yet, before workers choose from its servers."""
        async with anyio.create_task_group() as tasks:
            for each in self._pools:
                if not each.present:
                    tasks.start_soon(self._ask, each)

    def take_over(self, former: Discovery) -> None:
        """Go on with the servers that a generation before has found for pools that are found in the same way."""
        known = {(each.pool.name, each.discover): each for each in former._pools}
        for each in self._pools:
            before = known.get((each.pool.name, each.discover))
            if before is None:
                continue
            each.failure, each.left_out = before.failure, before.left_out
            rows = sorted({**before.present, **before.leaving})
            self._become(each, {row: former._states.by_row(row).server for row in rows})
            each.present, each.leaving, each.free = dict(before.present), dict(before.leaving), before.free.copy()

    def _become(self, each: _Discovered, servers: dict[int, Server]) -> None:
        """Have exactly these servers, by row. Some may be there already: it is looked twice, and they come and go meanwhile."""
        ours = {row: self._states.by_row(row).server for row in (*each.present, *each.leaving)}
        stays = {row for row, server in ours.items() if row in servers and servers[row].name == server.name}
        for row in ours.keys() - stays:  # before others come: one may be back in another row
            self._states.remove(self._states.by_row(row))
            self._addresses.put(row, None)
        for row, server in servers.items():
            if row not in stays:
                self._states.add(server, each.pool, row)
            elif server != ours[row]:
                self._states.replace(row, server)
            self._addresses.put(row, server)

    async def run(self, tell: Tell) -> None:
        """Ask again and again, until cancelled."""
        self._tell = tell
        async with anyio.create_task_group() as tasks:
            for each in self._pools:
                tasks.start_soon(self._keep, each)
            if self._pools:
                tasks.start_soon(self._see_off)

    async def _keep(self, each: _Discovered) -> None:
        delay_s = 0.0  # the answer from the start may be old by now
        failures = 0
        while True:
            await anyio.sleep(delay_s)
            ttl_s = await self._ask(each)
            failures = 0 if ttl_s is not None else failures + 1
            longest_s = min(RESOLVE_RETRY_S * 2**failures, RESOLVE_RETRY_MAX_S)
            delay_s = ttl_s if ttl_s is not None else self._random.uniform(longest_s / 2, longest_s)

    async def _ask(self, each: _Discovered) -> float | None:
        """Ask for one pool's name; return for how long the answer holds, None without one."""
        try:
            answer = await self._found(each.discover)
        except DnsFailed as failed:
            self._failed(each, str(failed))
            return None
        if each.failure:
            each.failure = ""
            self._events.add("name_resolved", each.discover.name, f"{each.discover.name} is resolved again")
        self._take(each, list(answer.values))
        return answer.ttl_s

    async def _found(self, discover: Discover) -> Answered[Found]:
        if discover.type is DiscoverType.ADDRESS:
            answer = await self._dns.addresses(discover.name)
            return Answered(tuple(Found(host, discover.port) for host in answer.values), answer.ttl_s)
        records = await self._dns.srv(discover.name)
        hosts: dict[str, tuple[str, ...]] = {}
        ttls = [records.ttl_s]
        failed: list[str] = []
        limiter = anyio.CapacityLimiter(_ADDRESSES_AT_ONCE)

        async def ask(target: str) -> None:
            async with limiter:
                try:
                    answer = await self._dns.addresses(target)
                except DnsFailed as error:
                    failed.append(f"{target}: {error}")
                    return
            hosts[target] = answer.values
            ttls.append(answer.ttl_s)

        async with anyio.create_task_group() as tasks:
            for target in {record.target for record in records.values}:
                tasks.start_soon(ask, target)
        if failed:  # a server whose address does not come now is not one that has gone
            raise DnsFailed(sorted(failed)[0])
        return Answered(tuple(servers_of_srv(records.values, hosts)), min(ttls))

    def _failed(self, each: _Discovered, reason: str) -> None:
        if each.failure == reason:
            return
        each.failure = reason
        kept = f"its {len(each.present)} servers stay" if each.present else "it has no servers"
        message = f"pool {each.pool.name}: cannot resolve {each.discover.name}: {reason}; {kept}"
        self._events.add("name_not_resolved", each.discover.name, message)

    # -- changes -----------------------------------------------------------------------------------------------------

    def _take(self, each: _Discovered, wanted: list[Found]) -> None:
        leaving = {self._states.by_row(row).server.name: row for row in each.leaving}
        for found in wanted:
            row = leaving.get(found.name)
            if row is not None:  # it is back before it had finished
                del each.leaving[row]
                each.present[row] = found
                self._states.leave(self._states.by_row(row), is_leaving=False)
                self._put(each, row, found, is_new=False)
        has_returned = len(each.leaving) < len(leaving)
        done = change(each.present, wanted, list(each.free))
        for row in done.gone:
            del each.present[row]
            self._leave(each, row)
        for row, found in {**done.changed, **done.added}.items():
            if row in done.added:
                each.free.remove(row)
            each.present[row] = found
            self._put(each, row, found, is_new=row in done.added)
        self._say_left_out(each, len(done.left_out))
        if has_returned or done.gone or done.changed or done.added:
            self._tell(ServersChanged(each.pool.name, self._servers_of(each)))

    def _put(self, each: _Discovered, row: int, found: Found, *, is_new: bool) -> None:
        pool = each.pool
        server = Server(pool.name, found.name, found.host, found.port, found.weight, is_backup=found.is_backup)
        self._addresses.put(row, server)
        if not is_new:
            self._states.replace(row, server)
            return
        state = self._states.add(server, pool, row)
        if self.checks is not None:
            self.checks.watch(state)
        if self.intents is not None:
            self.intents.found(state)
        message = f"{server.id} was found as {each.discover.name}"
        self._events.add("server_found", server.id, message)

    def _leave(self, each: _Discovered, row: int) -> None:
        state = self._states.by_row(row)
        self._states.leave(state, is_leaving=True)
        each.leaving[row] = time.monotonic() + each.pool.drain_timeout_s
        message = f"{state.server.id} is no longer {each.discover.name}: it finishes what it has"
        self._events.add("server_gone", state.server.id, message)

    def _servers_of(self, each: _Discovered) -> dict[int, Server]:
        return {row: self._states.by_row(row).server for row in sorted(each.present)}

    def _say_left_out(self, each: _Discovered, count: int) -> None:
        if count and count != each.left_out:
            message = (
                f"pool {each.pool.name}: {each.discover.name} stands for {count} servers more than servers_max, "
                f"{each.discover.servers_max}, allows: they get nothing"
            )
            self._events.add("servers_left_out", each.pool.name, message)
        each.left_out = count

    async def _see_off(self) -> None:
        while True:
            await anyio.sleep(_LOOK_INTERVAL_S)
            for each in self._pools:
                for row, force_s in list(each.leaving.items()):
                    self._see_off_one(each, row, force_s)

    def _see_off_one(self, each: _Discovered, row: int, force_s: float) -> None:
        state = self._states.by_row(row)
        if totals.in_flight(self._running.segment, row):
            if time.monotonic() >= force_s:
                each.leaving[row] = float("inf")
                self._states.count_close(state)
                self._tell(CloseServer(row))
            return
        del each.leaving[row]
        each.free.append(row)
        self._forget(state)

    def _forget(self, state: ServerState) -> None:
        if self.checks is not None:
            self.checks.forget(state)
        if self.drains is not None:
            self.drains.cancel(state)
        self._states.remove(state)
        self._addresses.put(state.row, None)
