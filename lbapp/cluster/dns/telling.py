"""What `lbapp dns` says: a line in the log for every change, and the report that the engine gets.

Responsible for the words, for saying a trouble once and its end once, and for when the own records left. Knows nothing of how
anything is done. Times are Unix seconds.

Invariant: `left_at` is null as long as any of the node's own records can be given to clients, as far as is known.
"""

from __future__ import annotations

import logging
from typing import Final, Literal

import anyio

from lbapp.cluster.dns.asking import Heard
from lbapp.cluster.dns.decide import Decision, Seen
from lbapp.control.fleet import DnsReport
from lbapp.model.dns import DnsSettings

_LOG: Final = logging.getLogger(__name__)
_LETTERS_MAX: Final = 500  # of a sentence that the engine takes
_LISTED_MAX: Final = 256  # addresses, likewise


class Story:
    """What has come of it so far. `changed` is set when the engine is to be told at once."""

    def __init__(self, settings: DnsSettings, server: str) -> None:
        self.changed = anyio.Event()
        self._settings = settings
        self._server = server
        self._records: frozenset[str] = frozenset()
        self._is_in: bool | None = None
        self._left_at: float | None = None
        self._ttl_s = settings.ttl_s
        self._reasons: tuple[str, ...] = ()
        self._failure = ""
        self._troubles: dict[str, str] = {}  # each of another kind

    def hear(self, heard: Heard) -> None:
        """Take what the engine said of the node last."""
        self._reasons = heard.reasons

    def stop(self) -> None:
        """The publisher is to end."""
        self._reasons = ("lbapp dns is being stopped",)

    def standing(self, *, is_ready: bool) -> str:
        """Return in words whether the node is ready."""
        return "ready" if is_ready else f"not ready: {self._why()}"

    def note_wrong_node(self, wrong: str) -> None:
        """Take what is wrong with the name of this node; empty: nothing."""
        self._trouble("node", wrong)

    def fail(self, sentence: str) -> None:
        """The zone could not be seen or changed."""
        if sentence != self._failure:
            _LOG.error("%s: %s", self._settings.name, sentence)
            self._failure = sentence
            self.changed.set()

    def settle(self, seen: Seen, decision: Decision, *, is_in: bool, now_s: float) -> None:
        """The zone is as `decision` says, which was made of what was seen."""
        name, node = self._settings.name, self._settings.node
        if self._failure:
            _LOG.info("%s: %s answers again", name, self._server)
            self._failure = ""
        for address in decision.added:
            _LOG.info("%s: %s in (TTL %d s)", name, address, self._settings.ttl_s)
        for address, owner in decision.removed.items():
            why = self._why() if not is_in else "the file no longer has it"
            _LOG.info(
                "%s: %s out (%s)", name, address, why if owner == node else f"node {owner} is not in the fleet any more"
            )
        self._records = (seen.addresses | set(decision.added)) - decision.removed.keys()
        self._date_leaving(seen, decision, now_s)
        self._say_troubles(seen, decision)
        if decision.is_change or self._is_in is not decision.is_in:
            self.changed.set()
        self._is_in = decision.is_in

    def _date_leaving(self, seen: Seen, decision: Decision, now_s: float) -> None:
        if decision.is_in:
            self._left_at = None
            return
        if self._left_at is None or any(owner == self._settings.node for owner in decision.removed.values()):
            noted = [note.left_s for note in seen.notes_of(self._settings.node)]
            whole = [left_s for left_s in noted if left_s is not None]
            # As the note says where it was before this process, which may have begun since.
            self._left_at = float(max(whole)) if whole and len(whole) == len(noted) and not decision.removed else now_s
        self._ttl_s = max(self._settings.ttl_s, seen.ttl_s)

    def _say_troubles(self, seen: Seen, decision: Decision) -> None:
        settings = self._settings
        kept = f"{', '.join(decision.kept)} stays, though it should not: {_floor_words(settings)}"
        self._trouble("floor", kept if decision.kept else "")
        shared = f"{', '.join(decision.shared)} is of another node, too: give each node addresses of its own"
        self._trouble("shared", shared if decision.shared else "")
        yielding = (
            "other nodes took this node's records out, and it cannot see why: it waits for the store, or 5 minutes"
        )
        self._trouble("yielding", yielding if decision.is_yielding else "")
        others = seen.addresses - frozenset(settings.addresses)
        is_other = bool(others) and seen.ttl_s != settings.ttl_s and not decision.added
        ttl = f"the records have a TTL of {seen.ttl_s} s, and the file says {settings.ttl_s} s: give all nodes the same"
        self._trouble("ttl", ttl if is_other else "")

    def _trouble(self, kind: str, sentence: str) -> None:
        """Say what is wrong, or no longer is, when that changes."""
        before = self._troubles.get(kind, "")
        if sentence == before:
            return
        if sentence:
            _LOG.warning("%s: %s", self._settings.name, sentence)
            self._troubles[kind] = sentence
        else:
            _LOG.info("%s: no longer so: %s", self._settings.name, before)
            del self._troubles[kind]
        self.changed.set()

    def _why(self) -> str:
        return "; ".join(self._reasons) or "the engine gives no reason"

    def report(self, now_s: float) -> DnsReport:
        """Return what the engine is told."""
        settings = self._settings
        state: Literal["starting", "published", "withdrawn", "failed"] = "published" if self._is_in else "withdrawn"
        if self._failure:
            state = "failed"
        elif self._is_in is None:
            state = "starting"
        return {
            "at": now_s,
            "name": settings.name,
            "server": self._server,
            "ttl_s": float(settings.ttl_s),
            "state": state,
            "records": sorted(self._records)[:_LISTED_MAX],
            "own": sorted(settings.addresses),
            "left_at": self._left_at,
            "gone_at": None if self._left_at is None else self._left_at + self._ttl_s,
            "problem": (self._failure or "; ".join(self._troubles.values()))[:_LETTERS_MAX],
        }


def _floor_words(settings: DnsSettings) -> str:
    if settings.records_min is None:
        return "half of the records known of a family are left at the least"
    return f"records_min = {settings.records_min} of a family are left at the least"
