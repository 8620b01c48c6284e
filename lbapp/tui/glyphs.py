"""Every symbol the console draws, in three sets: for a full font, for the Linux console's own, and for ASCII alone.

Responsible for which symbol and word stand for a server's state, and for sparklines as text. Knows nothing of colours
beyond the name of a tone. Invariant: a state is a symbol and a word, so it reads without colour; the set for the Linux
console draws only what its built-in font has, and that for ASCII only ASCII.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lbapp.tui.format import brief_duration
from lbapp.tui.scene import ServerRow

Tone = Literal["plain", "good", "bad", "warn", "calm", "quiet"]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The symbols of one kind of terminal. `spark`: levels from low to high."""

    up: str = "▲"
    down: str = "▼"
    drain: str = "▶"
    maint: str = "■"
    unknown: str = "·"
    over: str = "!"
    rising: str = "↑"
    falling: str = "↓"
    mark: str = "*"
    bar_full: str = "█"
    bar_half: str = "▒"
    bar_low: str = "░"
    fault_begin: str = ">"
    fault_end: str = "<"
    fault_under: str = "^"
    left: str = "←"
    right: str = "→"
    rule: str = "─"
    spark: str = "▁▂▃▄▅▆▇█"


FULL = Glyphs()
LINUX_CONSOLE = Glyphs(spark="·░▒█")
ASCII = Glyphs(
    up="^",
    down="v",
    drain=">",
    maint="#",
    unknown=".",
    rising="/",
    falling="\\",
    bar_full="#",
    bar_half="=",
    bar_low="-",
    left="<-",
    right="->",
    rule="-",
    spark=".-=#",
)
SETS: Final[Mapping[str, Glyphs]] = {"full": FULL, "vt": LINUX_CONSOLE, "ascii": ASCII}


def glyphs_named(name: str | None, environment: Mapping[str, str]) -> Glyphs:
    """Return the set of that name; without one, that for the terminal and the encoding that the environment names."""
    if name is not None:
        return SETS[name]
    if not _may_be_utf8(environment):
        return ASCII
    return LINUX_CONSOLE if is_linux_console(environment) else FULL


def _may_be_utf8(environment: Mapping[str, str]) -> bool:
    """Say whether the locale has UTF-8, or says nothing."""
    named = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    return not named or "utf8" in named.lower().replace("-", "")


def is_linux_console(environment: Mapping[str, str]) -> bool:
    """Say whether the terminal draws with the kernel's font and eight colours."""
    return environment.get("TERM", "") in ("linux", "ansi") or environment.get("TERM", "").startswith("vt")


def state_of(server: ServerRow, glyphs: Glyphs, now: float) -> tuple[str, Tone]:
    """Return symbol and word of a server's state, and its tone. The operator's wish stands before what checks found.

    `now` is Unix seconds.
    """
    drain = server.drain
    if server.admin == "maint":
        return f"{glyphs.maint} MAINT", "calm"
    if server.admin == "drain":
        if drain is None:
            return f"{glyphs.drain} DRAIN", "warn"
        if drain.phase == "draining":
            return f"{glyphs.drain} DRAIN {brief_duration(drain.ends_at - now)}", "warn"
        symbol = glyphs.over if drain.phase == "overdue" else glyphs.drain
        return f"{symbol} {drain.phase.upper()}", "bad" if drain.phase == "overdue" else "warn"
    return _found(server, glyphs)


def _found(server: ServerRow, glyphs: Glyphs) -> tuple[str, Tone]:
    """Return what checks and traffic found of a server."""
    if server.health == "down":
        return _on_its_way(server, glyphs) or (f"{glyphs.down} DOWN", "bad")
    if server.is_leaving:
        return f"{glyphs.drain} LEAVING", "warn"
    if server.ejected:
        return f"{glyphs.down} EJECTED", "bad"
    if server.is_for_nobody:
        return f"{glyphs.maint} NOBODY", "warn"
    if server.no_new_clients:
        return f"{glyphs.drain} NO NEW", "warn"
    if server.share_percent < 100:
        return f"{glyphs.up} SLOW {server.share_percent:.0f}%", "warn"
    if server.health == "up":
        if server.is_backup:
            return (f"{glyphs.up} UP backup", "warn") if server.is_eligible else (f"{glyphs.up} standby", "calm")
        return _on_its_way(server, glyphs) or (f"{glyphs.up} UP", "good")
    return f"{glyphs.unknown} UNKNOWN", "plain"


def _on_its_way(server: ServerRow, glyphs: Glyphs) -> tuple[str, Tone] | None:
    """Return how far a server is from the other health, while its last probes say other than it is."""
    if server.health == "down" and server.is_last_good and server.rise and server.streak < server.rise:
        return f"{glyphs.rising} DOWN {server.streak}/{server.rise}", "bad"
    if server.health == "up" and server.is_last_good is False and server.fall and server.streak < server.fall:
        return f"{glyphs.falling} UP {server.streak}/{server.fall}", "warn"
    return None


def sparkline(values: Sequence[float], width: int, glyphs: Glyphs) -> str:
    """Return the newest `width` values as one character each, right-aligned; the highest of them is the full one."""
    shown = values[-width:] if width > 0 else ()
    highest = max(shown, default=0.0)
    if highest <= 0:
        return (glyphs.spark[0] * len(shown)).rjust(width)
    top = len(glyphs.spark) - 1
    return "".join(glyphs.spark[round(value / highest * top)] for value in shown).rjust(width)
