"""`lbapp import`: another load balancer's configuration, in lbapp's words.

Responsible for reading and writing files, for the exit status, and for listing what is not taken. Knows nothing of any grammar.

Invariants: exit status 0 when everything that clients or servers could notice is taken; 4 when a valid configuration was made and
something is left out, which may let in whom the file kept out; 1 when none could be made, and nothing is written then.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbapp.cli.context import EXIT_LEFT_OUT, printable, reporting, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbapp.migrate.outcome import Note, Outcome


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it there; without it, it is printed.")
@click.option("--force", is_flag=True, help="Even over a file that is there.")
def importing(file: Path, output: Path | None, force: bool) -> None:
    """Say a haproxy.cfg or nginx.conf in lbapp's words; what is not taken, or not as it was, is listed on stderr."""
    from lbapp.config.new_file import write_new
    from lbapp.migrate.foreign import translate
    from lbapp.migrate.outcome import NothingMade

    with reporting():
        try:
            kind, made = translate(file)
        except NothingMade as nothing:
            _list(nothing.notes)
            raise
        if output is None:
            say(made.text.rstrip("\n"))
        else:
            write_new(output, made.text, may_replace=force)
        _list(made.notes)
        click.echo(printable(_summary(kind, made, output)), err=True)
        sys.exit(EXIT_LEFT_OUT if made.left else 0)


def _list(notes: Iterable[Note]) -> None:
    for note in notes:
        click.echo(printable(str(note)), err=True)


def _summary(kind: str, made: Outcome, output: Path | None) -> str:
    where = f"{output} is written" if output else "done"
    if not made.left and not made.differing:
        return f"{where}, from what is taken for {kind}: all of it is taken as it was"
    opened = f", of which {made.opened} kept clients out" if made.opened else ""
    counted = f"{_count(made.left, 'line')} not taken{opened}, {_count(made.differing, 'difference')} in lines that are"
    return f"{where}, from what is taken for {kind}: {counted}; look at each before you use it"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
