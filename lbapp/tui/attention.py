"""What needs an operator's attention: read off a scene, the worst first.

Responsible for what counts as a concern, for its sentence and for where it leads. Knows nothing of drawing. Invariants:
a concern says what is wrong in numbers of now and since when, where that is known; a scene without concerns is one in
which every server could take part, nobody waits and nothing runs out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lbapp.control.messages import EngineStatus, FleetGlance
from lbapp.tui.columns import ERROR_RATE_PROBLEM, is_standby
from lbapp.tui.format import count, duration, milliseconds, share
from lbapp.tui.glyphs import Tone
from lbapp.tui.place import Place
from lbapp.tui.scene import ListenerRow, PoolRow, Scene, ServerRow

CERTIFICATE_DAYS_WARNED: Final = 30.0
CERTIFICATE_DAYS_BAD: Final = 7.0
_NAMED: Final = 3  # servers by name; beyond, only how many


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that is wrong. `tone` is bad or warn; `since` is Unix seconds; `place`: where Enter leads."""

    subject: str
    text: str
    tone: Tone
    place: Place
    since: float | None = None

    @property
    def identity(self) -> str:
        """Return what stays the same of it from one moment to the next."""
        return f"{self.place.screen} {self.place.subject} {self.subject}"


def concerns(scene: Scene, now: float) -> list[Concern]:
    """Return everything that is wrong, what is bad first, else in the order of the configuration. `now` is Unix seconds."""
    found = [
        *(_of_node(scene.engine, now) if scene.engine else ()),
        *_of_fleet(scene.fleet),
        *(concern for pool in scene.pools for concern in _of_pool(pool, now)),
        *(concern for listener in scene.listeners for concern in _of_listener(listener)),
        *_of_certificates(scene.listeners),
    ]
    return sorted(found, key=lambda concern: concern.tone != "bad")


def _of_node(engine: EngineStatus, now: float) -> Iterator[Concern]:
    if engine["confirm_by"] is not None:
        left = duration(max(0.0, engine["confirm_by"] - now))
        text = f"configuration {engine['configuration']} goes back in {left} unless confirmed (S)"
        yield Concern("config", text, "warn", Place("config"))
    drain = engine["drain"]
    if drain is not None:
        text = f"the node drains: {drain['connections']} connections, {drain['in_flight']} in flight"
        yield Concern("node", text, "warn", Place("nodes"), drain["since"])
    missing = [str(each["slot"]) for each in engine["workers"] if each["phase"] == "gone"]
    if missing:
        yield Concern("node", f"worker {', '.join(missing)} is gone", "bad", Place("nodes"))


def _of_fleet(found: FleetGlance | None) -> Iterator[Concern]:
    if found is None:
        return
    place = Place("nodes")
    if found["state"] == "stale":
        yield Concern("fleet", "STORE STALE: what was known last holds", "bad", place, found["stale_since"])
    elif found["state"] == "starting":
        yield Concern("fleet", "the store has not been reached yet", "warn", place)
    if found["ready"] < found["known"]:
        tone: Tone = "bad" if 2 * found["ready"] <= found["known"] else "warn"
        gone = found["known"] - found["members"]
        text = f"{found['ready']} of {found['known']} nodes ready" + (f"; {gone} gone" if gone else "")
        yield Concern("nodes", text, tone, place)
    if found["differs"]:
        settings = "1 setting is" if found["differs"] == 1 else f"{found['differs']} settings are"
        yield Concern("node", f"{settings} other here than the fleet's: lbapp fleet", "warn", place)


def _of_pool(pool: PoolRow, now: float) -> Iterator[Concern]:
    down = [server for server in pool.servers if _is_lost(server)]
    place = Place("pool", pool.name)
    if pool.served_by == "":
        text = "no server takes requests: clients get 503"
        yield Concern(pool.name, f"{text}{_state_of_servers(down, pool)}", "bad", place, _since_the_last(pool))
        return
    if pool.is_in_panic:
        text = "too few servers are UP: health is ignored"
        yield Concern(pool.name, f"{text}{_state_of_servers(down, pool)}", "bad", place, _since(down))
    elif pool.served_by not in (None, pool.name):
        yield Concern(
            pool.name, f"{pool.served_by} takes its requests{_state_of_servers(down, pool)}", "bad", place, _since(down)
        )
    elif down:
        left = f"; {pool.eligible} left" + (f", queue {count(pool.queued)}" if pool.queued else "")
        tone: Tone = "bad" if 2 * len(down) >= pool.total else "warn"
        yield Concern(pool.name, f"{_lost(down, pool)}{left}{_slowness(pool)}", tone, place, _since(down))
    elif pool.is_on_backups:
        yield Concern(pool.name, "only its backups serve", "warn", place)
    if pool.waiting_since is not None and not down:
        text = f"requests wait for room: {count(pool.queued)} now"
        yield Concern(pool.name, text, "warn", place, pool.waiting_since)
    if (pool.error_rate or 0.0) >= ERROR_RATE_PROBLEM and not down:
        slow = "" if pool.p99 is None else f"; p99 {milliseconds(pool.p99)}"
        yield Concern(pool.name, f"{share(pool.error_rate)} of its requests fail{slow}", "bad", place)
    yield from _of_servers(pool, now)


def _of_servers(pool: PoolRow, now: float) -> Iterator[Concern]:
    for server in pool.servers:
        place = Place("server", server.id)
        if server.drain is not None and server.drain.phase == "overdue":
            text = f"its drain is overdue: {server.drain.in_flight} in flight are closed by force"
            yield Concern(server.id, text, "warn", place, server.drain.ends_at)


def _of_listener(listener: ListenerRow) -> Iterator[Concern]:
    if listener.overloaded_since is not None:
        why = max(listener.turned_away, key=lambda reason: listener.turned_away[reason], default="")
        text = f"turns clients away{f': {why}' if why else ''}"
        yield Concern(listener.name, text, "bad", Place("nodes"), listener.overloaded_since)


def _of_certificates(listeners: Iterable[ListenerRow]) -> Iterator[Concern]:
    seen = set()
    for listener in listeners:
        for certificate in listener.certificates:
            days = certificate["days_left"]
            if days > CERTIFICATE_DAYS_WARNED or certificate["fingerprint_sha256"] in seen:
                continue
            seen.add(certificate["fingerprint_sha256"])
            name = certificate["names"][0] if certificate["names"] else certificate["file"]
            text = f"its certificate for {name} " + (
                f"expired {-days:.0f} days ago" if days < 0 else f"expires in {days:.0f} days"
            )
            tone: Tone = "bad" if days <= CERTIFICATE_DAYS_BAD else "warn"
            yield Concern(listener.name, text, tone, Place("nodes"))


def _is_lost(server: ServerRow) -> bool:
    """Say whether a server that its operator wants to serve does not."""
    if server.admin != "ready" or server.is_leaving:
        return False
    return server.health == "down" or bool(server.ejected)


def _lost(down: Sequence[ServerRow], pool: PoolRow) -> str:
    names = ", ".join(server.name for server in down[:_NAMED])
    more = f" and {len(down) - _NAMED} more" if len(down) > _NAMED else ""
    why = next((server.ejected or server.health_reason for server in down), "")
    return f"{len(down)} of {pool.total} servers DOWN ({names}{more}){f': {why}' if why else ''}"


def _state_of_servers(down: Sequence[ServerRow], pool: PoolRow) -> str:
    if down:
        return f"; {_lost(down, pool)}"
    away = sum(server.admin != "ready" for server in pool.servers)
    return f"; {away} of {pool.total} servers are in DRAIN or MAINT" if away else ""


def _slowness(pool: PoolRow) -> str:
    parts = [f"p99 {milliseconds(pool.p99)}"] if pool.p99 is not None else []
    if pool.error_rate:
        parts.append(f"errors {share(pool.error_rate)}")
    return f"; {', '.join(parts)}" if parts else ""


def _since_the_last(pool: PoolRow) -> float | None:
    """Return since when nobody is left: since the last of them went, whoever went long before."""
    went = [server.health_since if server.admin == "ready" else server.changed_at for server in pool.servers]
    return max((moment for moment in went if moment is not None), default=None)


def _since(servers: Sequence[ServerRow]) -> float | None:
    known = [server.health_since for server in servers if server.health_since is not None]
    return min(known, default=None)


# -- how many there are --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """How many servers are how; each is counted once, by the operator's wish before its health."""

    up: int = 0
    down: int = 0
    drain: int = 0
    maint: int = 0
    unknown: int = 0


def tally(servers: Iterable[ServerRow]) -> Tally:
    """Return how many servers are how."""
    found = {"up": 0, "down": 0, "drain": 0, "maint": 0, "unknown": 0}
    for server in servers:
        found[server.admin if server.admin != "ready" else "down" if server.ejected else server.health] += 1
    return Tally(**found)


def pool_health(pool: PoolRow) -> Tone:
    """Return good, warn or bad of a pool."""
    if pool.served_by == "" or pool.is_in_panic:
        return "bad"
    is_served = pool.served_by in (None, pool.name) and not pool.is_on_backups
    is_all_there = all(server.is_eligible or is_standby(server) for server in pool.servers)
    return "good" if is_served and is_all_there and pool.waiting_since is None else "warn"
