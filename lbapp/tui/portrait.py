"""One server as lines: how it is now, how it went, what its checks found.

Responsible for the words and figures of the server's screen. Knows nothing of widgets or of who asked. Invariants: what
is not known is `-`; no line is wider than the width given; a weight that is not the file's says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lbapp.control.messages import Percentiles, ProbeDone, ServerStatus
from lbapp.control.past import PastPoint
from lbapp.tui.format import clock, count, duration, milliseconds, share, size
from lbapp.tui.glyphs import Glyphs, state_of
from lbapp.tui.plot import area
from lbapp.tui.scene import ServerRow
from lbapp.tui.tones import Line, Piece

COURSE_S: Final = 600.0
_LABEL: Final = 12
_RUNS: Final = 8  # of probes alike, one line each


def crumb(row: ServerRow, glyphs: Glyphs, now: float) -> Line:
    """Return where the operator is, and how the server is: that first, as what stands last is cut where there is no room."""
    words, tone = state_of(row, glyphs, now)
    since = f" for {duration(now - row.health_since)}" if row.health_since is not None else ""
    weight = f"weight {row.weight}"
    if row.configured_weight not in (None, row.weight):
        weight += f" ({row.configured_weight} in the file)"
    if row.ramp is not None:
        weight += f", {row.ramp.after} in {duration(row.ramp.ends_at - now)}"
    where = f" Pools > {row.pool} > {row.name}  "
    return [(where, "plain"), (f"{words}{since}", tone), (f"  {row.admin.upper()}  {row.address}  {weight}", "plain")]


def now_lines(found: ServerStatus, now: float) -> list[Line]:
    """Return the figures of now; `now` is Unix seconds."""
    most = f" of {found['connections_max']}" if found["connections_max"] else ""
    is_near = bool(found["connections_max"]) and found["in_flight"] * 10 >= found["connections_max"] * 9
    lines: list[Line] = [
        [_label("in flight"), (f"{found['in_flight']}{most}{' !' if is_near else ''}", "warn" if is_near else "plain")],
        [_label("connections"), (f"{found['connections']} open, {found['idle_connections']} idle", "plain")],
        [_label("requests"), (f"{count(found['requests_per_s'])}/s, {count(found['requests_total'])} in all", "plain")],
        [_label("errors"), (_errors(found), "bad" if (found["error_rate"] or 0.0) >= 0.05 else "plain")],
        [_label("bytes"), (f"{size(found['bytes_in_total'])} in, {size(found['bytes_out_total'])} out", "plain")],
        [_label("changed"), (_changed(found, now), "plain")],
    ]
    if found["agent"] is not None and found["agent"]["at"] is not None:
        said = found["agent"]["line"] or found["agent"]["error"] or "nothing"
        lines.append([_label("agent"), (f'"{said}" {duration(now - found["agent"]["at"])} ago', "plain")])
    return [*lines, *_latency(found)]


def _label(name: str) -> Piece:
    return f" {name:<{_LABEL}}", "plain"


def _errors(found: ServerStatus) -> str:
    kinds = ", ".join(f"{name} {number}" for name, number in found["failures"].items() if number)
    text = f"{share(found['error_rate'])} of the last 10 s, {count(found['errors_total'])} in all"
    return f"{text}; {kinds}" if kinds else text


def _changed(found: ServerStatus, now: float) -> str:
    if found["changed_at"] is None:
        return "not while running"
    who = found["changed_by"]
    return f"{duration(now - found['changed_at'])} ago by {who['user'] if who else '-'}"


def _latency(found: ServerStatus) -> list[Line]:
    latency = found["latency"]
    head = f" {'last ' + duration(latency['window_s']):<{_LABEL}}" + "".join(
        f"{name:>8}" for name in ("p50", "p90", "p99", "p99.9")
    )
    rows: list[tuple[str, Percentiles]] = [
        ("connect", latency["connect"]),
        ("first byte", latency["first_byte"]),
        ("total", latency["total"]),
    ]
    lines: list[Line] = [[(head, "plain")]]
    for name, figures in rows:
        cells = (figures["p50"], figures["p90"], figures["p99"], figures["p999"])
        lines.append([_label(name), ("".join(f"{milliseconds(value):>8}" for value in cells), "plain")])
    return lines


def course_lines(points: Sequence[PastPoint], width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Return two curves, requests per second and p99, each with its highest value above it."""
    if not points:
        return [[(" its last ten minutes are not recorded yet", "plain")]]
    minutes = max(1, round((points[-1]["at"] - points[0]["at"] + points[0]["seconds"]) / 60))
    lines: list[Line] = []
    rates: list[float | None] = [point["requests_per_s"] for point in points]
    p99s = [point["p99"] for point in points]
    for name, values, write in (("req/s", rates, count), ("p99", p99s, milliseconds)):
        highest = max((value for value in values if value is not None), default=None)
        lines.append([(f" {name}, last {minutes} min, at most {write(highest)}", "plain")])
        lines.extend([(f" {row}", "calm")] for row in area(values, max(1, width - 2), height, glyphs))
    return lines


def check_lines(found: ServerStatus | None, probes: Sequence[ProbeDone], width: int, glyphs: Glyphs) -> list[Line]:
    """Return what its health check found of late: one symbol a probe, the newest at the right, and what changed when."""
    if not probes:
        return [[(" it has not been probed yet", "plain")]]
    shown = probes[-max(1, width - 2) :]
    symbols: list[Piece] = [(" ", "plain")]
    symbols += [(glyphs.up, "good") if probe["is_success"] else (glyphs.down, "bad") for probe in shown]
    lines: list[Line] = [[(f" last {len(shown)} probes, the newest at the right", "plain")], symbols]
    for run in _runs(probes)[:_RUNS]:
        last, first = run[-1], run[0]
        times = (
            f"{clock(first['at'])}"
            if len(run) == 1
            else f"{clock(first['at'])} to {clock(last['at'])}, {len(run)} times"
        )
        text = f" {times}: {last['reason']} ({last['layer']}, {last['duration_s'] * 1000:.0f} ms)"
        lines.append([(text[:width], "plain" if last["is_success"] else "bad")])
    if found is not None and found["ejected"]:
        lines.append([(f" ejected by its traffic: {found['ejected']}", "bad")])
    excerpt = found["probe"]["excerpt"] if found is not None and found["probe"] else ""
    if excerpt:
        lines.append([(f' it said "{excerpt}"'[:width], "plain")])
    return lines


def _runs(probes: Sequence[ProbeDone]) -> list[list[ProbeDone]]:
    """Return probes that found the same together, the newest first."""
    runs: list[list[ProbeDone]] = []
    for probe in probes:
        if runs and (runs[-1][-1]["is_success"], runs[-1][-1]["reason"]) == (probe["is_success"], probe["reason"]):
            runs[-1].append(probe)
        else:
            runs.append([probe])
    return runs[::-1]
