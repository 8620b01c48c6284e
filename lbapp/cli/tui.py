"""`lbapp tui`: the console, of an engine here or elsewhere, now or earlier.

Responsible for what it is opened with, and for saying in one sentence why it cannot be. Knows nothing of what it shows.
Invariant: the terminal is left as it was when there is nothing to show.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from lbapp.cli.appearance import look_of, look_options
from lbapp.cli.context import Settings, has_terminal, linked, reporting, socket_option, source_option
from lbapp.cli.hosts import hosts_options
from lbapp.control.client import ControlClient
from lbapp.model.errors import EngineUnreachable, LbappError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lbapp.control.hosts import Place
    from lbapp.control.ssh import Link
    from lbapp.tui.kept import Kept
    from lbapp.tui.travel import Start


class _What(TypedDict):
    read_only: bool
    named: list[Place] | None  # None without a verb: then no option has been read
    hosts: list[Place] | None


_NO_TERMINAL = LbappError("the console needs a terminal", "Without one there is: lbapp status")


@click.command()
@click.option("--read-only", is_flag=True, help="Look only: the keys that change something do not exist.")
@click.option("--at", metavar="TIME", help="As it was then, at first: 14:05, 14:05:30, -10m.")
@source_option
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE", help="What lbapp bundle has written.")
@look_options
@hosts_options
@socket_option
@click.pass_obj
def tui(settings: Settings, /, at: str | None, source: Path | None, bundle: Path | None, **what: Unpack[_What]) -> None:
    """Open the console: servers, health and traffic, live.

    With several --host, or --hosts: the nodes of all of them, and Enter opens the console of one.
    """
    from lbapp.tui.pace import hurry
    from lbapp.tui.settling import begin

    begin()
    hurry()
    read_only, places = what["read_only"], [*(what["named"] or ()), *(what["hosts"] or ())]
    if len(places) > 1 or what["hosts"]:
        if at or source or bundle or settings.socket:
            raise click.UsageError(
                "several hosts are shown as they are now: --at, --from, --bundle and --socket stand alone"
            )
        _several(settings, places, read_only=read_only)
        return
    settings.host, settings.socket = _one_host(settings, places)
    try:
        when = None if at is None else _moment(at)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from error
    if bundle is not None and (source or settings.host or settings.socket):
        raise click.UsageError("--bundle stands alone: all that is shown is in the file")
    file = partial(_bundle, bundle) if bundle else partial(_history, source) if source else None
    with reporting(), _origin(settings, file, has_file_instead=at is not None) as origin:
        if not has_terminal():
            raise _NO_TERMINAL
        look = look_of(settings)
        from lbapp.tui.app import run_console
        from lbapp.tui.travel import Start

        start: Start | None = None if when is None else Start(*when)
        sys.exit(run_console(origin, read_only=read_only, start=start, look=look))


def _one_host(settings: Settings, places: Sequence[Place]) -> tuple[str | None, Path | None]:
    """Return host and socket as the options say them, where the host of an option may be a socket here."""
    if not places:
        return settings.host, settings.socket
    place = places[0]
    return (None, place) if isinstance(place, Path) else (str(place), settings.socket)


def _several(settings: Settings, places: Sequence[Place], *, read_only: bool) -> None:
    with reporting():
        if not has_terminal():
            raise LbappError("the console needs a terminal", "Without one there is: lbapp nodes --hosts FILE")
        look = look_of(settings)
        from lbapp.tui.hosts_app import run_hosts

        sys.exit(run_hosts(places, read_only=read_only, look=look))


def _moment(at: str) -> tuple[float, bool]:
    """Return a time that was named (Unix seconds), and whether to the second. Raises ValueError."""
    from lbapp.config.times import is_to_the_second, unix_time

    return unix_time(at, datetime.now()), is_to_the_second(at)


@contextmanager
def _origin(
    settings: Settings, file: Callable[[], Kept] | None, *, has_file_instead: bool
) -> Iterator[Path | Link | Kept]:
    """Yield what the console shows, after it has answered. Raises LbappError, click.UsageError."""
    if file is not None:
        yield file()
    elif settings.host_named:
        with linked(settings) as link:
            _ask(link.socket, str(link.host))
            yield link
    else:
        try:
            _ask(settings.socket_path)
        except EngineUnreachable as error:
            if not has_file_instead:
                raise
            from lbapp.cli.past import file_instead

            instead = file_instead(error)
        else:
            yield settings.socket_path
            return
        yield _history(instead)


def _ask(socket: Path, name: str = "") -> None:
    with ControlClient(socket, name) as client:
        client.workers()  # the least that shows that it answers, and that one may ask


def _bundle(path: Path) -> Kept:
    from lbapp.control.bundle import read_bundle
    from lbapp.tui.bundle import kept_bundle

    return kept_bundle(str(path), read_bundle(path))


def _history(source: Path) -> Kept:
    from lbapp.cli.past import read_past
    from lbapp.tui.kept import kept_history

    return kept_history(str(source), read_past(source))
