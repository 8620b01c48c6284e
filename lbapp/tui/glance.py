"""The head of the overview: how many servers are how, and what the node carries.

Responsible for its lines at any width. Knows nothing of widgets. Invariants: a rate is of now, a curve of the last
minutes, and a peak is one of a course that is known; percentiles are never put together: with several listeners the slowest
one's is given, and named so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lbapp.control.past import PastPoint
from lbapp.tui.attention import pool_health, tally
from lbapp.tui.format import count, milliseconds, share
from lbapp.tui.glyphs import Glyphs, Tone
from lbapp.tui.plot import curve
from lbapp.tui.scene import Scene
from lbapp.tui.tones import Line, plain

WIDE: Final = 100
PAST_S: Final = 300.0
_CURVE_MIN: Final = 10


@dataclass(frozen=True, slots=True)
class Carried:
    """What all listeners carry now; None: not known."""

    requests_per_s: float | None
    connections: int | None
    error_rate: float | None
    p99: float | None
    is_of_slowest: bool


def carried(scene: Scene) -> Carried:
    """Return what the listeners carry, put together as far as it can be."""
    connections = [each.connections for each in scene.listeners if each.connections is not None]
    failed = [(each.error_rate or 0.0) * each.requests_per_s for each in scene.listeners if each.requests_per_s]
    slowest = [each.p99 for each in scene.listeners if each.p99 is not None]
    rate = scene.requests_per_s
    return Carried(
        rate,
        sum(connections) if connections else None,
        sum(failed) / rate if failed and rate else None,
        max(slowest, default=None),
        len(slowest) > 1,
    )


def slowest(listeners: Sequence[Sequence[PastPoint]]) -> list[float | None]:
    """Return the p99 of the slowest listener in each second that all courses have, oldest first; None: nobody knows it."""
    length = min(map(len, listeners), default=0)
    seconds = zip(*(course[len(course) - length :] for course in listeners), strict=True)
    return [_peak([point["p99"] for point in second]) for second in seconds]


def glance(
    scene: Scene, past: Sequence[PastPoint], width: int, glyphs: Glyphs, p99s: Sequence[float | None] = ()
) -> list[Line]:
    """Return two lines, or four where there is room for curves. `past`: of the node, `p99s`: of the slowest listener."""
    servers, pools = _servers(scene, glyphs), [*_pools(scene, glyphs), *_nodes(scene)]
    now = carried(scene)
    p99 = "p99 max" if now.is_of_slowest else "p99"
    if width < WIDE:
        figures = (
            f" {count(now.requests_per_s)} req/s  {count(now.connections)} conn  {p99} {milliseconds(now.p99)}"
            f"  errors {share(now.error_rate)}  "
        )
        room = width - len(figures) - 6
        drawn = curve(_rates(past), room, glyphs) if room >= _CURVE_MIN and past else ""
        return [[*servers, ("  ", "plain"), *pools], [(figures, "plain"), (f"5min {drawn}" if drawn else "", "calm")]]
    half = width // 2
    left = [servers, pools, _listeners(scene), _changed(scene)]
    rates, connections, errors = _rates(past), _connections(past), _errors(past)
    right = [
        _course(_words("req/s", count, now.requests_per_s, rates), rates, half, glyphs),
        _course(_words("conn", count, now.connections, connections), connections, half, glyphs),
        _course(_words(p99, milliseconds, now.p99, p99s), p99s, half, glyphs),
        _course(_words("errors", share, now.error_rate, errors), errors, half, glyphs),
    ]
    return [
        [*one, (" " * max(1, half - len(plain(one))), "plain"), *other] for one, other in zip(left, right, strict=True)
    ]


def _servers(scene: Scene, glyphs: Glyphs) -> Line:
    found = tally(scene.servers())
    line: Line = [(" Servers ", "plain"), (f"{glyphs.up} UP {found.up}", "good")]
    if found.down:
        line.append((f"  {glyphs.down} DOWN {found.down}", "bad"))
    if found.drain:
        line.append((f"  {glyphs.drain} DRAIN {found.drain}", "warn"))
    if found.maint:
        line.append((f"  {glyphs.maint} MAINT {found.maint}", "calm"))
    if found.unknown:
        line.append((f"  {glyphs.unknown} UNKNOWN {found.unknown}", "plain"))
    return line


def _nodes(scene: Scene) -> Line:
    """Return how many nodes of the fleet are ready; nothing of a node that is alone."""
    found = scene.fleet
    if found is None:
        return []
    tone: Tone = "good" if found["ready"] == found["known"] else "warn" if found["ready"] else "bad"
    return [("  ", "plain"), (f"{found['ready']} of {found['known']} nodes ready", tone)]


def _pools(scene: Scene, glyphs: Glyphs) -> Line:
    health = [pool_health(pool) for pool in scene.pools]
    line: Line = [(f" Pools {len(health)}", "plain")]
    if good := health.count("good"):
        line.append((f"  {glyphs.up} {good}", "good"))
    if warned := health.count("warn"):
        line.append((f"  {glyphs.over} {warned}", "warn"))
    if bad := health.count("bad"):
        line.append((f"  {glyphs.down} {bad}", "bad"))
    return line


def _listeners(scene: Scene) -> Line:
    serving = sum(each.state == "serving" for each in scene.listeners)
    days = [each["days_left"] for listener in scene.listeners for each in listener.certificates]
    nearest = f"   certificates {len(days)}, next expiry in {min(days):.0f} days" if days else ""
    return [(f" Listeners {serving} of {len(scene.listeners)} serving{nearest}", "plain")]


def _changed(scene: Scene) -> Line:
    engine = scene.engine
    if engine is None:
        return [(" ", "plain")]
    return [
        (
            f" Workers {len(engine['workers'])}   configuration {engine['configuration']}, generation {engine['generation']}",
            "plain",
        )
    ]


def _course(words: str, values: Sequence[float | None], width: int, glyphs: Glyphs) -> Line:
    return [(words, "plain"), (curve(values, max(0, width - len(words) - 2), glyphs), "calm")]


def _words(name: str, write: Callable[[float | None], str], now: float | None, past: Sequence[float | None]) -> str:
    """Return the name of a curve, how it is now, and its peak."""
    peak = None if _peak(past) is None else _peak([*past, now])
    return f"{name:<7} {write(now):>6} / {write(peak):>6} "


def _peak(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _rates(past: Sequence[PastPoint]) -> list[float | None]:
    return [point["requests_per_s"] for point in past]


def _connections(past: Sequence[PastPoint]) -> list[float | None]:
    return [point["node"] and point["node"]["connections"] for point in past]


def _errors(past: Sequence[PastPoint]) -> list[float | None]:
    return [point["error_rate"] for point in past]
