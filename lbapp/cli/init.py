"""`lbapp init`: a first configuration, by questions or by options.

Responsible for asking what no option says, and for saying what to do next. Knows nothing of what a configuration means.

Invariants: nothing is written before the last answer, nor over a file that is there without --force; without a terminal nothing
is asked.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import click

from lbapp.cli.context import reporting, say
from lbapp.model.entities import AlgorithmName
from lbapp.model.errors import LbappError

if TYPE_CHECKING:
    from lbapp.config.first import Answers

_Read = TypeVar("_Read")
_DEFAULT = Path("lbapp.toml")
_ALGORITHMS = tuple(
    each.value
    for each in AlgorithmName
    if each not in (AlgorithmName.HASH, AlgorithmName.RENDEZVOUS)  # they need more keys
)


class _Asked(TypedDict):
    listen: tuple[str, ...]
    server: tuple[str, ...]
    protocol: str | None
    algorithm: str | None
    check: str | None


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=_DEFAULT)
@click.option(
    "--listen", multiple=True, metavar="ADDRESS", help="Where clients come: PORT, HOST:PORT or unix:/PATH; several."
)
@click.option("--server", multiple=True, metavar="[NAME=]ADDRESS", help="A server: HOST:PORT or unix:/PATH; several.")
@click.option("--protocol", type=click.Choice(("http", "tcp")), help="Default: http.")
@click.option("--algorithm", type=click.Choice(_ALGORITHMS), help="How servers are chosen; default: least_connections.")
@click.option("--check", metavar="PATH", help="What healthy servers answer; default: a connection is enough.")
@click.option("--force", is_flag=True, help="Even over a file that is there.")
@click.option("--print", "is_printed", is_flag=True, help="Print it, and write nothing.")
def init(file: Path, force: bool, is_printed: bool, **asked: Unpack[_Asked]) -> None:
    """Write a first configuration to FILE (lbapp.toml): what no option says is asked on a terminal."""
    from lbapp.config.first import first_configuration
    from lbapp.config.load import parse_configuration
    from lbapp.config.new_file import write_new

    with reporting():
        if not (force or is_printed) and (file.exists() or file.is_symlink()):  # before anybody is asked anything
            raise LbappError(f"{file} is there already and stays as it is", "Name another, or add --force")
        text = first_configuration(_answers(asked))
        parse_configuration(text, str(file))
        if is_printed:
            say(text.rstrip("\n"))
            return
        write_new(file, text, may_replace=force)
        say(f"{file} is written. Next:\n{_next(file)}")


def _answers(asked: _Asked) -> Answers:
    from lbapp.config import first

    given = bool(asked["listen"] and asked["server"])
    missing = [name for name, told in (("--listen", asked["listen"]), ("--server", asked["server"])) if not told]
    if not given and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"there is no terminal to ask on, and no {' and no '.join(missing)} is given")
    listen = [_option("--listen", first.listen_address, each) for each in asked["listen"]]
    servers = [_option("--server", first.server, each) for each in asked["server"]]
    check = _option("--check", first.check_path, asked["check"]) if asked["check"] else ""
    protocol = asked["protocol"] or "http"
    if not given and asked["protocol"] is None:
        protocol = _ask("Protocol (http or tcp)", _word, "http")
    if protocol == "tcp" and check:
        raise click.UsageError("--check asks servers by HTTP; leave it out with --protocol tcp")
    if not listen:
        listen = [_ask("Listen on", first.listen_address, "0.0.0.0:8080")]
    if not servers:
        servers = _ask_servers(first.server)
        if protocol == "http" and asked["check"] is None:
            check = _ask("Path that healthy servers answer (- for none)", _path_or_none, "-")
    try:
        named = first.named(servers)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return first.Answers(tuple(listen), named, protocol, asked["algorithm"] or "least_connections", check)


def _ask_servers(read: Callable[[str], tuple[str, str]]) -> list[tuple[str, str]]:
    """Ask for servers until an empty answer."""

    def first(text: str) -> tuple[str, str]:
        if not text:
            raise ValueError("a first server is needed; allowed: HOST:PORT or unix:/PATH")
        return read(text)

    found = [_ask("First server ([NAME=]HOST:PORT)", first)]

    def more(text: str) -> tuple[str, str]:
        each = read(text) if text else ("", "")
        if each[0] and each[0] in [name for name, _ in found]:
            raise ValueError(f"there is a server {each[0]} already; choose another name")
        return each

    while True:
        each = _ask("Another server (empty: no more)", more, "")
        if not each[1]:
            return found
        found.append(each)


def _ask(question: str, read: Callable[[str], _Read], default: str = "") -> _Read:
    """Ask until there is an answer that can be read; what is wrong with one is said, be it an empty one."""
    while True:
        try:
            text = click.prompt(question, default=default, show_default=bool(default), err=True)
        except click.Abort as error:
            click.echo(err=True)
            raise LbappError("interrupted; nothing is written") from error
        try:
            return read(str(text).strip())
        except ValueError as error:
            click.echo(f"  {error}", err=True)


def _path_or_none(text: str) -> str:
    from lbapp.config.first import check_path

    return "" if text == "-" else check_path(text)


def _word(text: str) -> str:
    if text not in ("http", "tcp"):
        raise ValueError(f"{text!r} is not known; allowed: 'http' or 'tcp'")
    return text


def _option(name: str, read: Callable[[str], _Read], text: str) -> _Read:
    try:
        return read(text)
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from error


def _next(file: Path) -> str:
    from lbapp.doctor.unit import read_unit

    steps = [
        (f"lbapp check {file}", "validate it, after every change"),
        (f"lbapp doctor {file}", "whether this machine is fit for it"),
        (f"lbapp run -c {file}", "the engine, in the foreground"),
        ("lbapp", "the console, in another terminal"),
    ]
    unit = read_unit()
    if shutil.which("systemctl") and unit is not None and unit.file:
        steps.append(("systemctl enable --now lbapp", f"as a service, by {unit.file}"))
    width = max(len(call) for call, _ in steps)
    return "\n".join(f"  {call:<{width}}  # {what}" for call, what in steps)
