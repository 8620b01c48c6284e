"""Saying that clients are turned away, or lines of the log dropped: when it begins, when it is over and how many it were.

Responsible for looking at what the workers count of these, and for one event at each end of an episode, however many it concerns.
Knows nothing of why a worker turns a client away or drops a line. Invariants: an episode that began ends with an event, unless
the engine ends before it; a flood of clients makes no flood of events.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from resource import RLIMIT_NOFILE, getrlimit

import anyio

from lbapp.engine.policy.overload import Began, Ended, Episodes
from lbapp.engine.policy.rate import share_of
from lbapp.engine.scoreboard.totals import AdmissionTotals, admission_totals, log_lines_dropped, shortages
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.running import Running
from lbapp.model.admission import TurnedAway
from lbapp.model.descriptors import room_for_clients
from lbapp.model.entities import Configuration, Listener
from lbapp.model.limits import OVERLOAD_LOOK_INTERVAL_S, OVERLOAD_QUIET_S


@dataclass(slots=True)
class _Watched:
    """One counter and what is said of it."""

    subject: str
    kinds: tuple[str, str]  # of the event at the beginning, and at the end
    began: str
    ended: str  # behind the count
    episodes: Episodes
    since: float | None = None  # Unix seconds


def warnings(configuration: Configuration) -> list[str]:
    """Return what is worth saying about limits that this process cannot keep."""
    limit, workers = configuration.limits.connections_max, configuration.engine.workers
    descriptors, _ = getrlimit(RLIMIT_NOFILE)
    share, room = share_of(limit, 0, workers), room_for_clients(descriptors)
    if room >= share:
        return []
    return [
        f"{descriptors} open files (ulimit -n) are enough for {room} clients of each worker, "
        f"not for its share of connections_max, {share}: {room * workers} are served at a time"
    ]


class OverloadWatch:
    """What is said of clients that are turned away."""

    def __init__(self, running: Running, events: Events) -> None:
        self._running = running
        self._events = events
        self._node = _Watched(
            "node",
            ("descriptors_ran_out", "descriptors_recovered"),
            "no file descriptors are left for new connections, accepting pauses; raise the limit of open files (ulimit -n)",
            "times there was no file descriptor; there are again",
            Episodes(shortages(running.segment), OVERLOAD_QUIET_S),
        )
        self._log = _Watched(
            "node",
            ("log_lines_dropped", "log_lines_written"),
            "lines of the access log are dropped: they are not taken, or not fast enough; requests are served on",
            "lines of the access log were dropped; all are written again",
            Episodes(log_lines_dropped(running.segment), OVERLOAD_QUIET_S),
        )
        self._full: dict[str, _Watched] = {}
        self._limited: dict[str, _Watched] = {}
        for listener in running.configuration.listeners:
            totals = self.totals(listener)
            self._full[listener.name] = _watch_room(listener, running.configuration.limits.connections_max, totals)
            self._limited[listener.name] = _watch_clients(listener, totals)

    def take_over(self, former: OverloadWatch) -> None:
        """Go on with the episodes of a generation before."""
        for watched, before in (
            ({"": self._node}, {"": former._node}),
            ({"": self._log}, {"": former._log}),
            (self._full, former._full),
            (self._limited, former._limited),
        ):
            for name in watched.keys() & before.keys():
                watched[name].episodes, watched[name].since = before[name].episodes, before[name].since

    def totals(self, listener: Listener) -> AdmissionTotals:
        """Return whom a listener has not let in so far."""
        return admission_totals(self._running.segment, self._running.rows.listeners[listener.name])

    def overloaded_since(self, listener: Listener) -> float | None:
        """Return since when a listener turns clients away for want of room (Unix seconds); None: it does not."""
        return self._full[listener.name].since

    @property
    def shortages(self) -> int:
        """How often a worker found no file descriptor or memory."""
        return shortages(self._running.segment)

    @property
    def log_lines_dropped(self) -> int:
        """How many lines of the access log were not written."""
        return log_lines_dropped(self._running.segment)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look(time.monotonic())
            await anyio.sleep(OVERLOAD_LOOK_INTERVAL_S)

    def look(self, now_s: float) -> None:
        """Look at every counter, and say what there is to say."""
        self._look_at(self._node, self.shortages, now_s)
        self._look_at(self._log, self.log_lines_dropped, now_s)
        for listener in self._running.configuration.listeners:
            totals = self.totals(listener)
            self._look_at(self._full[listener.name], _full(totals), now_s)
            self._look_at(self._limited[listener.name], _limited(totals), now_s)

    def _look_at(self, watched: _Watched, total: int, now_s: float) -> None:
        said = watched.episodes.look(total, now_s)
        if isinstance(said, Began):
            watched.since = time.time()
            self._events.add(watched.kinds[0], watched.subject, watched.began)
        elif isinstance(said, Ended):
            watched.since = None
            self._events.add(
                watched.kinds[1], watched.subject, f"{said.count} {watched.ended}, within {said.seconds:.1f} s"
            )


def _watch_room(listener: Listener, connections_max: int, totals: AdmissionTotals) -> _Watched:
    own, fleet = listener.admission.connections_max, listener.admission.fleet_connections_max
    limits = f"limits.connections_max is {connections_max}" + (f", its own is {own}" if own else "")
    limits += f", that of the fleet is {fleet}" if fleet else ""
    return _Watched(
        f"listener {listener.name}",
        ("overload_began", "overload_ended"),
        f"new clients are turned away: a worker's share of the connections is in use ({limits})",
        "clients were turned away for want of room; all are let in again",
        Episodes(_full(totals), OVERLOAD_QUIET_S),
    )


def _watch_clients(listener: Listener, totals: AdmissionTotals) -> _Watched:
    return _Watched(
        f"listener {listener.name}",
        ("client_limit_reached", "client_limit_over"),
        "a client asks for more than one may have (client_connections_max, client_request_rate)",
        "connections and requests were refused as one client's too many",
        Episodes(_limited(totals), OVERLOAD_QUIET_S),
    )


def _full(totals: AdmissionTotals) -> int:
    return totals.turned_away[TurnedAway.NODE_FULL] + totals.turned_away[TurnedAway.LISTENER_FULL]


def _limited(totals: AdmissionTotals) -> int:
    return totals.turned_away[TurnedAway.CLIENT_FULL] + totals.rate_limited
