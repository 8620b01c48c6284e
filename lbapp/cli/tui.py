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
from typing import TYPE_CHECKING

import click

from lbapp.cli.appearance import look_of, look_options
from lbapp.cli.context import Settings, has_terminal, host_option, linked, reporting, socket_option, source_option
from lbapp.control.client import ControlClient
from lbapp.model.errors import EngineUnreachable, LbappError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbapp.control.ssh import Link
    from lbapp.tui.kept import Kept
    from lbapp.tui.travel import Start

_NO_TERMINAL = LbappError("the console needs a terminal", "Without one there is: lbapp status")


@click.command()
@click.option("--read-only", is_flag=True, help="Look only: the keys that change something do not exist.")
@click.option("--at", metavar="TIME", help="As it was then, at first: 14:05, 14:05:30, -10m.")
@source_option
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE", help="What lbapp bundle has written.")
@look_options
@host_option
@socket_option
@click.pass_obj
def tui(settings: Settings, read_only: bool, at: str | None, source: Path | None, bundle: Path | None) -> None:
    """Open the console: servers, health and traffic, live."""
    from lbapp.tui.settling import begin

    begin()
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
