"""What every verb of the command line shares: the socket, the output, the exit status.

Responsible for `--socket`, `--host` and `--json` (accepted before and after the verb), for turning errors into one sentence
and an exit status, and for keeping control bytes out of the terminal. Knows nothing of any verb.

Invariant: exit status 0 done, 1 refused or failed, 2 wrong usage or invalid configuration, 3 no engine answers, 4 left out
something that was to be taken over; every error is one sentence on stderr, never a traceback.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import click

from lbapp.control.client import ControlClient
from lbapp.control.messages import PoolStatus
from lbapp.control.past import PastPool
from lbapp.control.paths import HOST, default_socket
from lbapp.model.errors import ConfigurationError, EngineUnreachable, LbappError, RequestRefused

if TYPE_CHECKING:
    from lbapp.control.ssh import Link

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_LEFT_OUT: Final = 4
WAIT_INTERVAL_S: Final = 0.25  # between two looks at what is waited for
Command = TypeVar("Command", bound=Callable[..., Any])
_Pool = TypeVar("_Pool", PoolStatus, PastPool)


@dataclass
class Settings:
    """What the options say. They stand before the verb or behind it."""

    socket: Path | None = None
    host: str | None = None
    as_json: bool = False
    theme: str | None = None
    glyphs: str | None = None

    @property
    def socket_path(self) -> Path:
        """The control socket to use, of a verb that works on the engine's own host only. Raises click.UsageError."""
        self.stay_here()
        return self.socket or default_socket()

    @property
    def host_named(self) -> str:
        """The host that an option or the environment names; empty: this one. A socket that is named is of this one."""
        return self.host or ("" if self.socket else os.environ.get(HOST, ""))

    def stay_here(self) -> None:
        """Raises click.UsageError when another host is named."""
        if self.host_named:
            raise click.UsageError(
                f"this works on the engine's own host only: run it there, not with {self.host_named}"
            )


def store(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that keeps an option in the Settings: the one behind the verb stands before the one in front of it."""

    def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        if value:
            setattr(context.ensure_object(Settings), name, value)
        return value

    return callback


def socket_option(command: Command) -> Command:
    """Give a command `--socket PATH`."""
    return click.option(
        "--socket",
        type=click.Path(path_type=Path),
        callback=store("socket"),
        expose_value=False,
        help="The engine's control socket (or $LBAPP_SOCKET).",
    )(command)


def host_option(command: Command) -> Command:
    """Give a command `--host ssh://USER@HOST`."""
    return click.option(
        "--host",
        metavar="ssh://USER@HOST",
        callback=store("host"),
        expose_value=False,
        help="Of the engine there, by ssh (or $LBAPP_HOST).",
    )(command)


def json_option(command: Command) -> Command:
    """Give a command `--json`."""
    return click.option("--json", is_flag=True, callback=store("as_json"), expose_value=False, help="Print JSON.")(
        command
    )


source_option = click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="A history file, or the state_dir that it is in: without an engine.",
)


def duration_option(name: str, help_text: str) -> Callable[[Command], Command]:
    """Return a decorator that gives a command an option such as `--timeout 5m`; the command gets seconds."""

    def seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
        try:
            from lbapp.config.values import duration_s  # brings the whole model; most verbs are given no duration

            return None if value is None else duration_s(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return click.option(name, metavar="DURATION", callback=seconds, help=help_text)


def reason_option(command: Command) -> Command:
    """Give a command `--reason`."""
    return click.option("--reason", default="", metavar="TEXT", help="Why, for the others.")(command)


def reason_options(command: Command) -> Command:
    """Give a command the options that go with a change: why, and whether it is made though it cannot be recorded."""
    unrecorded = click.option(
        "--unrecorded",
        is_flag=True,
        help="Make it even if the journal cannot be written: it is gone with the engine then.",
    )
    return reason_option(unrecorded(command))


def force_option(command: Command) -> Command:
    """Give a command `--force`."""
    return click.option("--force", is_flag=True, help="Even if a pool has no server left then, or too few.")(command)


def fleet_option(command: Command) -> Command:
    """Give a command `--fleet`."""
    return click.option("--fleet", is_flag=True, help="On every node of the fleet; without it on this node alone.")(
        command
    )


class How(TypedDict):
    """What `plan_options` give to a command."""

    fleet: bool
    reason: str
    unrecorded: bool
    force: bool
    dry_run: bool


def plan_options(command: Command) -> Command:
    """Give a command the options of a change that is planned first."""
    dry = click.option("--dry-run", is_flag=True, help="Say who would get how much, and change nothing.")
    return fleet_option(reason_options(dry(force_option(command))))


def printable(text: str) -> str:
    """Return `text` with every character that a terminal might obey replaced."""
    return "".join(character if character.isprintable() else "?" for character in text)


def pool_named(pools: list[_Pool], name: str, missing: str) -> list[_Pool]:
    """Return the one pool of that name. Raises RequestRefused with the sentence `missing` and the names that there are."""
    chosen = [each for each in pools if each["name"] == name]
    if not chosen:
        raise RequestRefused("unknown_pool", missing, f"Pools: {', '.join(each['name'] for each in pools)}")
    return chosen


def say(text: str) -> None:
    """Print lines made of our own words and of strings from outside. Raises LbappError."""
    _print("\n".join(printable(line) for line in text.split("\n")))


def say_json(value: object) -> None:
    """Print one JSON value on one line, in ASCII. Raises LbappError."""
    _print(json.dumps(value))


def _print(text: str) -> None:
    try:
        click.echo(text)
    except BrokenPipeError:
        raise  # the reader has had enough: click leaves in silence
    except OSError as error:
        raise LbappError(f"cannot write the output: {error.strerror}", "Make room, or write elsewhere") from error


def complain(error: LbappError) -> None:
    """Print an error as one sentence on stderr."""
    _complain(printable(f"lbapp: {error}"))


def _complain(text: str) -> None:
    from lbapp.process import for_stderr  # brings logging, which most calls do without

    click.echo(for_stderr(text), err=True)


def has_terminal() -> bool:
    """Say whether the console can be opened: it reads standard input and draws on standard error."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


@contextmanager
def reporting() -> Iterator[None]:
    """Turn errors into a sentence on stderr and the exit status that goes with them."""
    try:
        yield
    except ConfigurationError as error:
        _complain("\n".join(printable(str(problem)) for problem in error.problems))
        sys.exit(EXIT_USAGE)
    except LbappError as error:
        complain(error)
        sys.exit(EXIT_UNREACHABLE if isinstance(error, EngineUnreachable) else EXIT_FAILED)
    except KeyboardInterrupt:
        _complain("lbapp: interrupted")
        sys.exit(EXIT_FAILED)


@contextmanager
def engine(settings: Settings) -> Iterator[ControlClient]:
    """Open a client to the engine, here or on another host; what goes wrong is reported."""
    with reporting(), reached(settings) as client:
        yield client


@contextmanager
def reached(settings: Settings) -> Iterator[ControlClient]:
    """Open a client to the engine, here or on another host. Raises LbappError, click.UsageError."""
    if not settings.host_named:
        with ControlClient(settings.socket_path) as client:
            yield client
        return
    with linked(settings) as link, ControlClient(link.socket, str(link.host)) as client:
        yield client


@contextmanager
def linked(settings: Settings) -> Iterator[Link]:
    """Bring the control socket of another host here. Raises EngineUnreachable, click.UsageError."""
    from lbapp.control.ssh import Host, Link

    if settings.socket:
        raise click.UsageError("--socket is of this host: name one there as ssh://HOST/PATH")
    try:
        host = Host.parse(settings.host_named)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with Link(host) as link:
        link.open()
        yield link
