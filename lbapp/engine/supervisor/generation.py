"""One generation of the supervisor: every part that depends on the configuration, made for one of them and wired together.

Responsible for making these parts, for having them go on where those of the generation before have stopped, and for running
them. Knows nothing of sockets, of worker processes or of why there is another configuration.

Invariants: a part never sees its configuration change; while a generation is made, nothing of it is felt: workers see it from
`begin` on, and by then the one before has stopped; what is known of a server that stays is carried over in `take_over` methods,
and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from lbapp.control.standing import FleetGlance
from lbapp.engine.channel import AddressesChanged, Message, ServersChanged
from lbapp.engine.policy.shares import Place, place_of
from lbapp.engine.supervisor import slow_start
from lbapp.engine.supervisor.agents import Agents
from lbapp.engine.supervisor.certificates import Certificates
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.commands import Commands
from lbapp.engine.supervisor.configurations import Kept
from lbapp.engine.supervisor.discovery import Discovery
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.fd_store import FdStore
from lbapp.engine.supervisor.fleet_changes import FleetChanges
from lbapp.engine.supervisor.history import History
from lbapp.engine.supervisor.history_keeper import HistoryKeeper
from lbapp.engine.supervisor.intents import Intents
from lbapp.engine.supervisor.journal import Journal
from lbapp.engine.supervisor.kept_drain import KeptDrain
from lbapp.engine.supervisor.kills import Kills
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.making import Making
from lbapp.engine.supervisor.metrics_port import MetricsPort
from lbapp.engine.supervisor.overload import OverloadWatch
from lbapp.engine.supervisor.passive import Passive
from lbapp.engine.supervisor.persistence import Clients
from lbapp.engine.supervisor.pool_watch import PoolWatch
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.recording import Recording
from lbapp.engine.supervisor.reports import Reports
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import know, known_of
from lbapp.engine.supervisor.shares import Shares
from lbapp.engine.supervisor.sockets import Listening
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.windows import Windows
from lbapp.engine.supervisor.workers import Served, Workers
from lbapp.model.errors import RequestRefused


@dataclass(slots=True)
class Lasting:
    """What stays while generations come and go."""

    life: Life
    events: Events
    journal: Journal
    listening: Listening
    fd_store: FdStore
    keeper: HistoryKeeper
    fleet: FleetChanges
    metrics: MetricsPort = field(default_factory=MetricsPort)
    workers: Workers | None = None  # once there are any
    applied: Kept | None = None  # the copy of what serves; None: it could not be kept
    why_file_is_other: Callable[[], str] = lambda: ""  # than what serves; empty: it is not
    is_given_away: bool = False  # to another engine
    reports: Reports = field(default_factory=Reports)
    kept_drain: KeptDrain = field(default_factory=lambda: KeptDrain(None))
    members: tuple[str, ...] = ()  # of the fleet, that live, as far as is known
    glance: Callable[[bool], FleetGlance | None] = lambda _: None  # of the fleet; given whether this node is ready

    @property
    def changing(self) -> anyio.Lock:
        """What is held by whoever changes what the engine does."""
        return self.journal.changing

    def place(self) -> Place:
        """Return this node's place among the members of its fleet that live."""
        return place_of(self.fleet.node, self.members)

    def check_serving(self) -> None:
        """Raise RequestRefused 409 stopping, reloaded when the engine is on its way out. To be called with `changing` held."""
        if self.is_given_away:
            message = "another engine has taken over just now; nothing was changed"
            raise RequestRefused("reloaded", message, "Look at it again, then repeat", 409)
        if self.life.phase == "draining":
            raise RequestRefused(
                "stopping", "the engine is about to stop; nothing was changed", "Start it anew instead", 409
            )

    def tell(self, message: Message) -> None:
        """Send a message to every worker."""
        if self.workers is not None:
            self.workers.tell(message)


class Generation:
    """The parts of one generation. `begin` and `run` once, in this order."""

    def __init__(self, running: Running, lasting: Lasting) -> None:
        """Make the parts. Raises StartError for certificates that cannot serve."""
        self.running: Final = running
        events, self._lasting = lasting.events, lasting
        self.certificates = Certificates(running.configuration, events)
        self.resolver = Resolver(running, events)
        self.states = ServerStates(running, events, is_published=False)
        self.discovery = Discovery(running, self.states, events, self.resolver)
        self.drains = Drains(running.segment, self.states, events, lasting.tell)
        self.drains.node.reports, self.drains.node.stop = lasting.reports, lasting.life.stop
        self.drains.node.kept = lasting.kept_drain
        self.history = History(running.segment, running.rows)
        self.windows = Windows(running, self.states, self.history)
        self.overload = OverloadWatch(running, events)
        self.pools = PoolWatch(running, self.states, events)
        self.clients = Clients(running, events)
        self.drains.count_remembered = self.clients.count
        self.shares = Shares(running, self.states, events)
        self.intents = Intents(running, self.states, self.drains, events, lasting.journal)
        self.intents.store_revision = lasting.fleet.store_revision
        self.making = Making(running, self.states, self.drains)
        self.served = Served(
            running,
            lambda: self.resolver.addresses,
            lambda: self.certificates.material,
            self.discovery.servers,
            lambda: self.drains.node.is_sending_away,
        )
        if lasting.workers is None:
            lasting.workers = Workers(self.served, lasting.listening, events)
        self.reader = StatusReader(
            running,
            lasting.life,
            lasting.listening,
            self.states,
            self.drains,
            lasting.workers,
            self.history,
            self.overload,
            self.pools,
            self.certificates,
            lambda: lasting.applied,
            lambda: lasting.why_file_is_other(),
            lambda is_ready: lasting.glance(is_ready),
        )
        self.keeper = lasting.keeper
        self.recording = Recording(running, self.states, self.history, lasting.keeper, self.reader.cost)
        self.commands = Commands(running, self.states, self.drains, self.reader, self.intents)
        self.commands.fleet = lasting.fleet
        self.kills = Kills(self.states, events, lasting.workers.looking)
        # By an engine before, of its servers; and whether their checks go on with it.
        self._known: dict[str, tuple[dict[str, Any], bool]] = {}
        self._scope = anyio.CancelScope()
        self._has_ended = anyio.Event()

    async def find_servers(self, former: Generation | None = None) -> None:
        """Ask for the addresses of servers, and for the servers of pools, that no generation before has found."""
        if former is not None:
            self.resolver.take_over(former.resolver)
            self.discovery.take_over(former.discovery)
        await self.resolver.resolve(only_due=True)
        await self.discovery.ask_all()

    def know(self, known: Mapping[str, Any]) -> None:
        """Take over what an engine before has found of servers and pools, by name. To be called before `begin`."""
        servers = known.get("servers")
        for name, state in self.states.by_id.items():
            entry = servers.get(name) if isinstance(servers, dict) else None
            if isinstance(entry, dict):
                is_checked = know(state, entry)
                self._known[name] = (entry, is_checked)
        self.history.peaks.know(known.get("peaks"))

    def known(self) -> dict[str, Any]:
        """Return what is known of servers and pools, by name, and of the node, for the engine that comes after this one."""
        servers = {
            name: {**known_of(state), **self.checks.known_of(state), **self.passive.known_of(state)}
            for name, state in self.states.by_id.items()
        }
        return {"servers": servers, "peaks": self.history.peaks.known(), "node": self.drains.node.standing()}

    def begin(self, former: Generation | None = None) -> None:
        """Let workers see the states of the servers, from where a generation before, that has stopped, has left them."""
        if former is not None:
            self._take_over(former)
        self.checks = Checks(self.states, self.resolver, tls=self.certificates.to_server)
        self.passive = Passive(self.running, self.states, self.checks)
        for name, (entry, is_checked) in self._known.items():
            if is_checked:
                self.checks.know(self.states.by_id[name], entry)
            if entry.get("address") == self.states.by_id[name].server.address:
                self.passive.know(self.states.by_id[name], entry)
        self.shares.begin(self._lasting.place())
        self.states.publish()
        self.agents = Agents(self.states, self.resolver, self._lasting.events)
        self.discovery.checks, self.discovery.drains, self.discovery.intents = self.checks, self.drains, self.intents
        if former is not None:
            self.checks.take_over(former.checks)
            self.passive.take_over(former.passive)
            self.agents.take_over(former.agents)

    def _take_over(self, former: Generation) -> None:
        self.resolver.take_over(former.resolver)
        self.discovery.take_over(former.discovery)
        self.states.take_over(former.states)
        self.drains.take_over(former.drains)
        self.history.take_over(former.history)
        self.windows.take_over(former.windows)
        self.overload.take_over(former.overload)
        self.pools.take_over(former.pools)
        self.clients.take_over(former.clients)
        self.certificates.take_over(former.certificates)
        self.reader.take_over(former.reader)
        self.recording.take_over(former.recording)

    def tell_what_is_new(self) -> None:
        """Tell workers what was found while they got ready for this generation."""
        self._lasting.tell(AddressesChanged(self.resolver.addresses))
        for pool, servers in self.discovery.servers().items():
            self._lasting.tell(ServersChanged(pool, servers))

    async def run(self) -> None:
        """Look after everything until `stop`."""
        tell = self._lasting.tell
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    for part in (self.history, self.drains, self.clients, self.checks, self.passive, self.agents):
                        tasks.start_soon(part.run)
                    tasks.start_soon(slow_start.grow, self.states)
                    tasks.start_soon(self.overload.run)
                    tasks.start_soon(self.pools.run)
                    tasks.start_soon(self.history.peaks.run)
                    tasks.start_soon(self.windows.run)
                    tasks.start_soon(self.recording.run)
                    for finder in (self.resolver, self.discovery, self.certificates):
                        tasks.start_soon(finder.run, tell)
                    await anyio.sleep_forever()
        finally:
            self._has_ended.set()

    async def stop(self) -> None:
        """Return when nothing of it runs any more; commands that wait for their turn are refused from then on."""
        self.intents.is_over = True
        self._scope.cancel()
        await self._has_ended.wait()
