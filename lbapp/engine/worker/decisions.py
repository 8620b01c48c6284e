"""Why this server: decisions of a worker's pools that are kept for who asks.

Responsible for which decisions are kept, for putting a record of one together, and for saying how one would be made now. Knows
nothing of how an algorithm explains itself, nor of who asks.

Invariants: what is recorded is decided as it would have been; how many are in a second, and how many are kept, is bounded for
the worker, however many pools it has; a decision that is not recorded costs a look at one attribute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from time import time
from typing import TYPE_CHECKING, Final

from lbapp.engine.policy.balance.explanation import Explanation
from lbapp.engine.policy.skipping import Standing, reason_against
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.worker.client_text import client_of
from lbapp.model.decision import BY_PERSISTENCE, Considered, Decision, PassedOver
from lbapp.model.entities import AlgorithmName
from lbapp.model.hashing import KeyKind
from lbapp.model.states import AdminState, HealthState

if TYPE_CHECKING:
    from lbapp.engine.questions import PreviewDecision
    from lbapp.engine.worker.common import CommonExchange
    from lbapp.engine.worker.downstream import Downstream
    from lbapp.engine.worker.pools import Told, UpstreamPool
    from lbapp.engine.worker.run import Worker
    from lbapp.engine.worker.upstream import UpstreamServer

Tried = tuple[int, ...]

_SAMPLED_PER_SWEEP: Final = 8  # pools, one decision each: 32 a second
_EXTRAS_PER_SWEEP: Final = 4  # retries, and those that found no server, beside the sampled ones
_KEPT_MAX: Final = 64  # of a pool
_KEPT_MIN: Final = 4
_KEPT_IN_ALL: Final = 2_048
_PASSED_OVER_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Asking:
    """Who is to be given a server, none of those tried. `exchange`: None for a TCP connection."""

    client: Downstream
    pool: UpstreamPool
    tried: Tried
    exchange: CommonExchange | None = None


class Decisions:
    """What is kept of the decisions of one worker."""

    def __init__(self) -> None:
        self._rings: dict[str, deque[Decision]] = {}
        self._extras_left = 0
        self._next = 0  # of the pools, to be sampled

    def arm(self, pools: Sequence[UpstreamPool]) -> None:
        """Have the next decision of some of the pools be recorded, in turn; with few pools, of each of them."""
        self._extras_left = _EXTRAS_PER_SWEEP
        for pool in [pools[(self._next + step) % len(pools)] for step in range(min(_SAMPLED_PER_SWEEP, len(pools)))]:
            pool.is_to_be_recorded = True
        self._next = (self._next + _SAMPLED_PER_SWEEP) % max(1, len(pools))

    def forget_others(self, pools: Iterable[str]) -> None:
        """Keep the decisions of these pools only, and of each no more than there is room for."""
        names = list(pools)
        kept = max(_KEPT_MIN, min(_KEPT_MAX, _KEPT_IN_ALL // max(1, len(names))))
        self._rings = {name: deque(self._rings.get(name, ()), kept) for name in names}

    def latest(self, pool: str, client: str, limit: int) -> tuple[Decision, ...]:
        """Return the latest decisions, the last one last. `pool`, `client`: empty for any."""
        rings = self._rings.values() if not pool else [self._rings.get(pool, ())]
        found = [each for ring in rings for each in ring if client in ("", each.client)]
        found.sort(key=lambda each: each.at_s)
        return tuple(found[-limit:])

    def decide(self, asking: Asking, choose: Callable[[Tried], UpstreamServer | None]) -> UpstreamServer | None:
        """Return what `choose` chooses, and record it if that is its turn, if others were tried or none is found."""
        pool = asking.pool
        if not pool.is_to_be_recorded and not (asking.tried and self._may_have_another()):
            server = choose(asking.tried)
            if server is None:
                self.found_none(asking)
            return server
        if _is_served(pool) and not pool.has_room_beside(asking.tried):
            return choose(asking.tried)  # still none: it is asked again and again, and was recorded when it came
        pool.is_to_be_recorded = False
        pool.look_if_changed()
        passed_over = _passed_over(pool, asking.tried)
        told: Told = []
        with (pool.persistence or pool).explaining(told):
            server = choose(asking.tried)
        if server is not None or not _is_served(pool):
            self._keep(asking, server, told, passed_over)
        return server

    def found_none(self, asking: Asking) -> None:
        """Record a decision that found no server. One that is in a queue and asked again was recorded when it came."""
        if not _is_served(asking.pool) and self._may_have_another():
            self._keep(asking, None, [], _passed_over(asking.pool, asking.tried))

    def _may_have_another(self) -> bool:
        self._extras_left -= 1
        return self._extras_left >= 0

    def _keep(self, asking: Asking, server: UpstreamServer | None, told: Told, passed_over: dict[int, str]) -> None:
        pool, exchange = asking.pool, asking.exchange
        ring = self._rings.get(pool.name)
        if ring is None:
            return  # a former pool's, whose name is gone
        address, port = client_of(asking.client)
        decision = Decision(time(), address, port, pool.name, pool.settings.algorithm.value, len(asking.tried) + 1)
        if server is None and pool.wanted is not None:
            decision = replace(decision, note=f"waits for {_name(pool, pool.wanted)}, which it had")
        decision = _with_choice(decision, pool, None if server is None else server.cells.index, told)
        if pool.persistence is not None:
            verdict, given, row = pool.persistence.said(None if exchange is None else exchange.visit)
            decision = replace(decision, verdict=verdict, given=given, remembered=_name(pool, row))
        ring.append(
            replace(
                _with_passed_over(decision, pool, passed_over),
                key=_key_words(asking, decision.by),
                has_waited=_is_served(pool),
            )
        )


def preview(worker: Worker, question: PreviewDecision) -> tuple[Decision, ...]:
    """Return how a pool would decide now on a client, and, where none of its servers may be had, those that take over.

    Changes nothing. Empty: there is no such pool.
    """
    pool = next((each for each in worker.pools if each.name == question.pool), None)
    found: list[Decision] = []
    while pool is not None:
        found.append(_previewed(pool, question.client_key, question.key, worker.reactor.now))
        is_waiting = pool.queue is not None and pool.has_eligible_beside(())
        if found[-1].server or is_waiting or len(found) > len(worker.pools):
            break
        pool = pool.failover
    return tuple(found)


def _previewed(pool: UpstreamPool, client_key: bytes, key: bytes, now_s: float) -> Decision:
    pool.look_if_changed()
    full = pool.full()
    decision = Decision(time(), "", 0, pool.name, pool.settings.algorithm.value)
    known = pool.persistence.knows(client_key, key) if pool.persistence is not None else None
    if known is not None:
        decision = replace(decision, verdict=known.verdict, remembered=known.server)
    if known is not None and known.row is not None:
        is_full = known.row in full
        note = f"would wait for {known.server}, which it had" if is_full else ""
        decision = _with_choice(replace(decision, note=note), pool, None if is_full else known.row, [])
    else:
        hashed = key if key and pool.find_key is not None else client_key
        name, explanation = pool.explain(hashed, now_s, full) if known is None else known.explain(full)
        decision = _with_choice(decision, pool, explanation.chosen, [(name, explanation)])
    return _with_passed_over(decision, pool, _passed_over(pool, ()))


def _is_served(pool: UpstreamPool) -> bool:
    return pool.queue is not None and pool.queue.is_serving


def _name(pool: UpstreamPool, row: int | None) -> str:
    server = None if row is None else pool.servers.get(row)
    return "" if server is None else server.id


def _with_choice(decision: Decision, pool: UpstreamPool, chosen: int | None, told: Told) -> Decision:
    name, explanation = told[-1] if told else ("", Explanation(None))
    by = name if chosen is None or explanation.chosen == chosen else ""
    if chosen is not None and not by:
        by, explanation = BY_PERSISTENCE, Explanation(None)
    considered = [Considered(_name(pool, score.index), score.words) for score in explanation.scores]
    return replace(
        decision,
        server=_name(pool, chosen),
        by=by if chosen is not None else "",
        considered=tuple(considered),
        candidates=explanation.total,
        note=explanation.note or decision.note,
    )


def _with_passed_over(decision: Decision, pool: UpstreamPool, passed_over: dict[int, str]) -> Decision:
    others = [PassedOver(_name(pool, row), reason) for row, reason in passed_over.items()]
    others = [each for each in others if each.server not in ("", decision.server)]
    return replace(decision, passed_over=tuple(others[:_PASSED_OVER_MAX]), skipped=len(others))


def _passed_over(pool: UpstreamPool, tried: Tried) -> dict[int, str]:
    """Return why servers cannot be chosen now, by row."""
    rows = sorted(pool.servers)
    loads = dict(zip(rows, pool.load.in_flight(rows), strict=True))
    full, capacity = frozenset(pool.full()), pool.connections_max
    in_all = sum(loads.values())
    found = {}
    for row, server in pool.servers.items():
        state = server.cells.cells[server.cells.state : server.cells.state + at.STATE_CELLS]
        standing = Standing(
            is_published=pool.is_published,
            admin=AdminState(state[at.STATE_ADMIN]),
            health=HealthState(state[at.STATE_HEALTH]),
            weight=state[at.STATE_WEIGHT],
            is_ejected=bool(state[at.STATE_EJECTED]),
            wants_no_clients=bool(state[at.STATE_NO_NEW_CLIENTS]),
            is_backup=server.server.is_backup,
            is_eligible=pool.is_eligible(row),
            is_tried=row in tried,
            is_full=row in full,
            in_flight=loads[row],
            connections_max=state[at.STATE_CONNECTIONS_MAX],
        )
        reason = reason_against(standing, in_all, capacity)
        if reason:
            found[row] = reason
    return found


def _key_words(asking: Asking, by: str) -> str:
    """Say what a request was hashed by, where it was."""
    pool, exchange = asking.pool, asking.exchange
    if by in ("", BY_PERSISTENCE) or not AlgorithmName(by).hashes:
        return ""
    if pool.persistence is not None and (words := pool.persistence.key_words(exchange)):
        return words
    settings = pool.settings.hash
    if pool.find_key is None or exchange is None or settings.key is KeyKind.IP:
        return "client address"
    what = f"{settings.key.value} {settings.name}".rstrip()
    return what if pool.find_key(exchange.head) else f"client address (no {what})"
