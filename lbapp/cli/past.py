"""Looking back from the command line: `status --at`, `history`.

Responsible for which time is meant, for where the past is read, and for what is printed of it: plain tables that fit 80
columns. Knows nothing of how moments are kept. Invariants: it changes nothing; without an engine it shows the same, out
of the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import click

from lbapp.cli.complete import complete_either
from lbapp.cli.context import (
    Settings,
    complain,
    duration_option,
    json_option,
    pool_named,
    reached,
    reporting,
    say,
    say_json,
    socket_option,
    source_option,
)
from lbapp.cli.format import count, milliseconds, share, table
from lbapp.cli.reload import configurations
from lbapp.config.times import unix_time
from lbapp.control.client import ControlClient
from lbapp.control.past import Course, PastFigures, PastNode, PastPoint, PastPool, PastStatus
from lbapp.control.paths import default_state_dir
from lbapp.control.recall import Past, course, status_at
from lbapp.model.amounts import Subject
from lbapp.model.errors import EngineUnreachable, LbappError

_LAST_S: Final = 1800.0
_FIGURES: Final = ("INFL", "REQ/S", "ERR", "P50", "P99")
_T = TypeVar("_T")


def time_asked(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Return a time that somebody has given, in Unix seconds. Raises click.BadParameter."""
    try:
        return None if value is None else unix_time(value, datetime.now())
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def show_status_at(settings: Settings, pool: str | None, at: float, source: Path | None) -> None:
    """Print how everything was."""
    with reporting():
        found = _recalled(settings, source, lambda client: client.status_at(at), lambda past: status_at(past, at))
        if pool is not None:
            found["pools"] = pool_named(found["pools"], pool, f"there was no pool {pool} then")
        if settings.as_json:
            say_json(found)
        else:
            say(_status(found, with_listeners=pool is None))


@click.command()
@click.argument("name", required=False, metavar="[POOL | POOL/SERVER]", shell_complete=complete_either)
@click.option("--listener", metavar="NAME", help="Of this listener.")
@duration_option("--last", "How far to go back, such as 30m (the default) or 12h. Without a name: the node.")
@click.option("--step", type=click.Choice(["1s", "1m"]), default="1m", show_default=True, help="A row for each.")
@source_option
@json_option
@socket_option
@click.pass_context
def history(  # noqa: PLR0913 - an option each
    context: click.Context, name: str | None, listener: str | None, last: float | None, step: str, source: Path | None
) -> None:
    """Show how it went, minute by minute. With nothing named: the configurations that were applied."""
    if name is None and listener is None and last is None and source is None:
        context.invoke(configurations)
        return
    settings: Settings = context.obj
    subject = None
    if listener is not None:
        subject = Subject("listener", listener)
    elif name is not None:
        subject = Subject("server" if "/" in name else "pool", name)
    last_s, step_s = last or _LAST_S, 1 if step == "1s" else 60
    now = time.time()
    with reporting():
        found = _recalled(
            settings,
            source,
            lambda client: client.course(subject, last_s, step_s),
            lambda past: course(past, subject, (now - last_s, now), step_s),
        )
        if settings.as_json:
            say_json(found)
        else:
            say(_course(found))


def _recalled(
    settings: Settings, source: Path | None, ask: Callable[[ControlClient], _T], look: Callable[[Past], _T]
) -> _T:
    """Return what the engine knows of the past, or what its file holds. Raises LbappError."""
    if source is None:
        try:
            with reached(settings) as client:
                return ask(client)
        except EngineUnreachable as error:
            if settings.host_named:
                raise  # the file is there, too
            source = file_instead(error)
            complain(LbappError(f"no engine answers: this is out of {source}"))
    return look(read_past(source))


def file_instead(error: EngineUnreachable) -> Path:
    """Return the history of the engine that does not answer. Raises EngineUnreachable where it is not clear which that is."""
    files = _files_in(default_state_dir())
    if len(files) != 1:
        raise EngineUnreachable(str(error).partition("\n")[0], "Name its history: --from STATE_DIR") from error
    return files[0]


def read_past(source: Path) -> Past:
    """Return what a history file, or the only one of a state_dir, holds. Raises LbappError."""
    path = history_in(source) if source.is_dir() else source
    try:
        return Past.in_file(path.read_bytes())
    except OSError as error:
        raise LbappError(f"cannot read {path}: {error.strerror}", "Ask as the user that runs the engine") from error
    except ValueError as error:
        raise LbappError(f"cannot read {path}: {error}", "Name a file history-... of a state_dir") from error


def history_in(state_dir: Path) -> Path:
    """Return the history file of a state_dir. Raises LbappError where there is none, or are several."""
    files = _files_in(state_dir)
    if not files:
        raise LbappError(f"there is no history in {state_dir}", "Name the state_dir of the engine")
    if len(files) > 1:
        raise LbappError(f"there are several in {state_dir}", "Name one: " + ", ".join(map(str, files)))
    return files[0]


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("history-*") if not path.suffix)


def _status(found: PastStatus, *, with_listeners: bool) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["at"]))
    # At most 80 columns, with three digits of CPU and four of memory.
    parts = [f"as at {at}, over {found['seconds']:.0f} s: {_node(found['node'])}"]
    if with_listeners:
        rows = [(each["name"], *_figures(each)) for each in found["listeners"]]
        parts.append(table(("LISTENER", *_FIGURES), rows, frozenset(range(1, 6))))
    return "\n\n".join([*parts, *map(_pool, found["pools"])])


def _pool(pool: PastPool) -> str:
    rows = [
        (each["id"], each["admin"].upper(), each["health"].upper(), str(each["weight"]), *_figures(each))
        for each in pool["servers"]
    ]
    rows.append(("all", "", "", "", *_figures(pool)))
    header = ("SERVER", "ADMIN", "HEALTH", "WEIGHT", *_FIGURES)
    return f"pool {pool['name']}\n" + table(header, rows, frozenset(range(3, 9)))


def _figures(each: PastFigures) -> tuple[str, ...]:
    return (
        count(each["in_flight"]),
        count(each["requests_per_s"]),
        share(each["error_rate"]),
        milliseconds(each["p50"]),
        milliseconds(each["p99"]),
    )


def _node(node: PastNode) -> str:
    return f"CPU {_cpu(node)}, memory {_memory(node)}, {node['connections']} connections"


def _cpu(node: PastNode) -> str:
    return "-" if node["cpu_percent"] is None else f"{node['cpu_percent']:.0f}%"


def _memory(node: PastNode) -> str:
    return "-" if node["memory_bytes"] is None else f"{node['memory_bytes'] / 2**20:.0f}MiB"


def _course(found: Course) -> str:
    columns, more = _COLUMNS[found["kind"]]
    header = ("TIME", "REQUESTS", *_FIGURES, *columns)
    form = "%H:%M:%S" if found["step_s"] == 1 else "%m-%d %H:%M"
    rows = [
        (
            time.strftime(form, time.localtime(round(point["at"] - point["seconds"]))),
            count(point["requests"]),
            *_figures(point),
            *more(point),
        )
        for point in found["points"]
    ]
    return table(header, rows, frozenset(range(1, len(header))))


def _of_server(point: PastPoint) -> Sequence[str]:
    return ((point["admin"] or "-").upper(), (point["health"] or "-").upper(), str(point["weight"]))


def _of_pool(point: PastPoint) -> Sequence[str]:
    return (f"{point['ready']}/{point['servers']}",)


def _of_node(point: PastPoint) -> Sequence[str]:
    node = point["node"]
    return ("-", "-", "-") if node is None else (_cpu(node), _memory(node), count(node["connections"]))


def _of_listener(_point: PastPoint) -> Sequence[str]:
    return ()


_COLUMNS: Final[dict[str, tuple[tuple[str, ...], Callable[[PastPoint], Sequence[str]]]]] = {
    "server": (("ADMIN", "HEALTH", "WEIGHT"), _of_server),
    "pool": (("READY",), _of_pool),
    "node": (("CPU", "MEMORY", "CONN"), _of_node),
    "listener": ((), _of_listener),
}
