"""A list of hosts on the command line: `--host` again and again, or `--hosts FILE`, and asking all of them at once.

Responsible for reading the list and for one answer of each host. Knows nothing of what is shown. Invariants: no host waits for
another; of several hosts nothing is asked on the terminal; one that does not answer says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbapp.cli.context import Command
from lbapp.control import calls
from lbapp.control.client import ControlClient
from lbapp.model.errors import LbappError

if TYPE_CHECKING:  # a start without such a list does not pay for ssh
    from lbapp.control.hosts import HostAnswer, Place


def _named(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[Place]:
    if not values:
        return []
    from lbapp.control.hosts import place_of

    try:
        return [place_of(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _listed(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> list[Place]:
    if path is None:
        return []
    from lbapp.control.hosts import places_in

    try:
        return places_in(path.read_text())
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise click.BadParameter(f"{path}: {error}") from error


def hosts_options(command: Command) -> Command:
    """Give a command `--host`, as often as wanted, and `--hosts FILE`; it gets lists of places."""
    listed = click.option(
        "--hosts",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_listed,
        help="Of all hosts of a list, one a line: without a store.",
    )
    named: Callable[[Command], Command] = click.option(
        "--host",
        "named",
        multiple=True,
        metavar="ssh://USER@HOST",
        callback=_named,
        help="Of the engine there, by ssh (or $LBAPP_HOST); several, one after the other, are shown together.",
    )
    return named(listed(command))


def ask_all(places: Sequence[Place]) -> list[HostAnswer]:
    """Return what each host knows of itself, in their order. Takes as long as the slowest."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(places)) as threads:  # else a silent host keeps others waiting
        return list(threads.map(_ask, places))


def _ask(place: Place) -> HostAnswer:
    from lbapp.control.hosts import HostAnswer
    from lbapp.control.ssh import Link

    try:
        if isinstance(place, Path):
            return _answer(place, place, "")
        with Link(place) as link:
            link.ensure()
            return _answer(place, link.socket, str(link.host))
    except (LbappError, OSError) as error:  # such as: no ssh here, or no room for its socket
        return HostAnswer(place, problem=str(error))


def _answer(place: Place, socket: Path, name: str) -> HostAnswer:
    from lbapp.control.hosts import HostAnswer

    with ControlClient(socket, name) as client:
        return HostAnswer(place, client.ask(calls.fleet()), time.time())
