"""What happened, in order: the engine's memory of its own events.

Responsible for numbering events, keeping the last EVENTS_MAX of them, logging each as one line, and letting
readers follow. Knows nothing of what an event means. Invariants: `seq` grows by one with every event and
never repeats within one engine; a reader costs no memory: one that falls behind by more than the ring holds
is told how many events it missed.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import anyio

from lbapp.control.messages import Actor, Event
from lbapp.model.limits import EVENTS_MAX

EVENTS_MISSED: Final = "events_missed"
ENGINE: Final[Actor] = {"uid": None, "user": "engine", "pid": None}

_LEVELS: Final = {
    "server_went_down": logging.WARNING,
    "drain_timed_out": logging.WARNING,
    "name_not_resolved": logging.WARNING,
    "persistence_failed": logging.WARNING,
    "persistence_moved_aside": logging.WARNING,
    "servers_not_verified": logging.WARNING,
    "certificate_expires_soon": logging.WARNING,
    "certificate_expired": logging.ERROR,
    "certificate_refused": logging.ERROR,
    "overload_began": logging.WARNING,
    "client_limit_reached": logging.WARNING,
    "descriptors_ran_out": logging.ERROR,
    "agent_failed": logging.WARNING,
    "change_not_recorded": logging.ERROR,
    "change_overruled": logging.WARNING,
    "configuration_not_kept": logging.WARNING,
    "configuration_of_fleet_overruled": logging.WARNING,
    "configuration_of_fleet_refused": logging.ERROR,
    "configuration_of_fleet_waits": logging.WARNING,
    "intent_passed_over": logging.WARNING,
    "intent_unknown": logging.WARNING,
    "node_drain_not_kept": logging.WARNING,
    "node_drain_step_given_up": logging.WARNING,
    "configuration_not_reverted": logging.ERROR,
    "configuration_reverted": logging.WARNING,
    "connections_killed": logging.WARNING,
    "history_not_written": logging.ERROR,
    "history_set_aside": logging.WARNING,
    "log_lines_dropped": logging.ERROR,
    "journal_damaged": logging.ERROR,
    "journal_unavailable": logging.ERROR,
    "pool_failed_over": logging.WARNING,
    "pool_in_panic": logging.ERROR,
    "pool_on_backups": logging.WARNING,
    "pool_queue_began": logging.WARNING,
    "pool_unserved": logging.ERROR,
    "ramp_aborted": logging.WARNING,
    "server_ejected": logging.WARNING,
    "servers_left_out": logging.WARNING,
    "worker_not_started": logging.ERROR,
    "worker_died": logging.ERROR,
    "worker_hung": logging.ERROR,
}
_log = logging.getLogger("lbapp")


class Signal:
    """Wakes everybody who waits for the next change."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def fire(self) -> None:
        """Wake all who wait now."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait for the next `fire`."""
        await self._event.wait()


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted: with numbers between two, of some kinds (none: of any), and about a subject (empty: any).

    A pool is the subject of what happens to its servers, too.
    """

    after: int = 0
    before: int | None = None
    kinds: frozenset[str] = frozenset()
    subject: str = ""

    def takes(self, event: Event) -> bool:
        """Say whether an event is wanted."""
        seq, subject = event["seq"], event["subject"]
        is_between = seq > self.after and (self.before is None or seq < self.before)
        is_kind = not self.kinds or event["kind"] in self.kinds
        is_subject = not self.subject or subject == self.subject or subject.startswith(f"{self.subject}/")
        return is_between and is_kind and is_subject


class Events:
    """The ring of events. All of it is used from one event loop. `earlier`: those of the engine before."""

    def __init__(self, capacity: int = EVENTS_MAX, earlier: Sequence[Event] = ()) -> None:
        self._ring: deque[Event] = deque(earlier, maxlen=capacity)
        self._seq = earlier[-1]["seq"] if earlier else 0
        self._added = Signal()
        self._closed = False

    @property
    def last_seq(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._seq

    def add(
        self,
        kind: str,
        subject: str,
        message: str,
        *,
        actor: Actor | None = None,
        change: tuple[str | int | None, str | int | None] = (None, None),
    ) -> Event:
        """Record and log what happened; `change` is the value before and after. Return the numbered event."""
        self._seq += 1
        event: Event = {
            "seq": self._seq,
            "at": time.time(),
            "kind": kind,
            "subject": subject,
            "message": message,
            "actor": actor,
            "before": change[0],
            "after": change[1],
        }
        self._ring.append(event)
        by = f" (by {actor['user']}, pid {actor['pid']})" if actor and actor["pid"] is not None else ""
        _log.log(_LEVELS.get(kind, logging.INFO), "%s: %s%s", kind, message, by)
        self._added.fire()
        return event

    def after(self, seq: int, limit: int = EVENTS_MAX) -> list[Event]:
        """Return the newest events that came after number `seq`, at most `limit`, oldest first."""
        count = min(self._seq - seq, len(self._ring), limit)
        start = len(self._ring) - count
        # Numbers may be missing among those of an engine before: what was not kept.
        return [event for event in islice(self._ring, start, None) if event["seq"] > seq] if count > 0 else []

    def page(self, wanted: EventFilter, limit: int) -> list[Event]:
        """Return the newest events that are wanted, at most `limit`, oldest first."""
        found = list(islice(filter(wanted.takes, reversed(self._ring)), limit))
        return found[::-1]

    async def follow(self, seq: int) -> AsyncIterator[Event]:
        """Give the events after number `seq` and then each new one, until `close`.

        A reader that missed some gets an event of kind `events_missed` in their place, with the seq of the
        last missed.
        """
        while True:
            for event in self.after(seq):
                if event["seq"] > seq + 1:
                    yield _missed(seq, event["seq"] - 1)
                seq = event["seq"]
                yield event
            if seq < self._seq:
                continue
            if self._closed:
                return
            await self._added.wait()

    def close(self) -> None:
        """End every `follow` after the events that are there."""
        self._closed = True
        self._added.fire()


def _missed(seq: int, last: int) -> Event:
    return {
        "seq": last,
        "at": time.time(),
        "kind": EVENTS_MISSED,
        "subject": "node",
        "message": f"{last - seq} events are no longer kept",
        "actor": None,
        "before": seq,
        "after": last,
    }
