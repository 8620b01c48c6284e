"""`lbapp announce`: tell routers whether clients may come to this node.

Responsible for the options, for the log, and for which backend it is. Knows nothing of how one works. Invariant: 0 after a
stop, 1 when the backend has failed or ended, 2 for an invalid file; nothing but `--withdraw` and running changes anything.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbapp.cli.context import (
    EXIT_FAILED,
    EXIT_USAGE,
    Settings,
    complain,
    json_option,
    reporting,
    say,
    say_json,
    socket_option,
)
from lbapp.control.paths import ENVIRONMENT
from lbapp.model.errors import ConfigurationError, LbappError

if TYPE_CHECKING:
    from lbapp.cluster.announce.backend import Backend
    from lbapp.model.announce import AnnounceSettings

_PRINTED = ("bird", "keepalived")


@click.command()
@click.option("-c", "--config", required=True, type=click.Path(path_type=Path), help="The file of this command.")
@click.option("--check", "only_check", is_flag=True, help="Say whether the file is valid, and end.")
@click.option("--print", "printed", type=click.Choice(_PRINTED), help="Print this daemon's configuration, and end.")
@click.option("--withdraw", "only_withdraw", is_flag=True, help="Withdraw the addresses, and end: for ExecStopPost.")
@json_option
@socket_option
@click.pass_obj
def announce(settings: Settings, config: Path, only_check: bool, printed: str | None, only_withdraw: bool) -> None:
    """Tell routers whether clients may come to this node, until SIGTERM."""
    from lbapp.config.announce import load_announce

    with reporting():
        settings.stay_here()
        try:
            told = load_announce(config)
        except ConfigurationError as error:
            if not (only_check and settings.as_json):
                raise
            say_json({"valid": False, "problems": [asdict(problem) for problem in error.problems]})
            sys.exit(EXIT_USAGE)
        if only_check:
            _say_valid(settings, config, told)
        elif printed:
            say(_text(told, printed).rstrip("\n"))
        elif only_withdraw:
            _withdraw(told)
        else:
            named = os.environ.get(ENVIRONMENT)
            _run(told, settings.socket or (Path(named) if named else None))


def _say_valid(settings: Settings, config: Path, told: AnnounceSettings) -> None:
    if settings.as_json:
        say_json({"valid": True, "problems": []})
        return
    addresses = f"{len(told.addresses)} address{'' if len(told.addresses) == 1 else 'es'}"
    say(f"{config} is valid: {addresses}, by {told.backend.value}")


def _text(told: AnnounceSettings, printed: str) -> str:
    from lbapp.cluster.announce.bird_text import bird_text
    from lbapp.cluster.announce.keepalived_text import keepalived_text

    if told.backend.value != printed:
        raise LbappError(
            f"the file is for {told.backend.value}, not for {printed}", "Name its own backend, or another file"
        )
    return bird_text(told) if printed == "bird" else keepalived_text(told, os.uname().nodename)


def _backend(told: AnnounceSettings) -> Backend:
    from lbapp.model.announce import RouteBackend

    if told.backend is RouteBackend.BIRD:
        from lbapp.cluster.announce.bird import Bird

        return Bird(told)
    if told.backend is RouteBackend.EXABGP:
        from lbapp.cluster.announce.exabgp import Exabgp

        return Exabgp(told)
    from lbapp.cluster.announce.keepalived import Keepalived

    return Keepalived(told)


def _withdraw(told: AnnounceSettings) -> None:
    import anyio

    from lbapp.cluster.announce.run import withdraw
    from lbapp.model.announce import RouteBackend

    if told.backend is not RouteBackend.EXABGP:  # an ExaBGP ends with who has started it, and its routes with it
        anyio.run(withdraw, _backend(told))
    say(f"withdrawn: {', '.join(told.addresses)}")


def _run(told: AnnounceSettings, socket: Path | None) -> None:
    import anyio

    from lbapp.cluster.announce.backend import BackendEnded, BackendFailed
    from lbapp.cluster.announce.run import run
    from lbapp.process import begin_log

    begin_log("lbapp-announce", "lbapp announce")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for every question
    try:
        anyio.run(run, told, _backend(told), socket)
    except BackendEnded as error:
        complain(error)
        sys.exit(EXIT_FAILED)
    except BackendFailed:  # the log says so
        sys.exit(EXIT_FAILED)
