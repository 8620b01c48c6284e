"""`lbapp import`: another load balancer's configuration, in lbapp's words.

Responsible for reading and writing files, and for listing what is not taken. Knows nothing of any grammar.

Invariant: exit status 0 when a valid configuration was made, with whatever is listed on stderr; 1 when none could be made, and
nothing is written then.
"""

from __future__ import annotations

from pathlib import Path

import click

from lbapp.cli.context import printable, reporting, say
from lbapp.model.errors import LbappError


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it there; without it, it is printed.")
@click.option("--force", is_flag=True, help="Even over a file that is there.")
def importing(file: Path, output: Path | None, force: bool) -> None:
    """Say a haproxy.cfg in lbapp's words; every line that is not taken, or not as it was, is listed on stderr."""
    from lbapp.config.new_file import write_new
    from lbapp.migrate.haproxy import from_haproxy

    with reporting():
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise LbappError(f"{file} cannot be read: {why}", "Name a file that can") from error
        made = from_haproxy(text, file.name)
        if output is None:
            say(made.text.rstrip("\n"))
        else:
            write_new(output, made.text, may_replace=force)
        for note in made.notes:
            click.echo(printable(str(note)), err=True)
        but = sum(note.is_taken for note in made.notes)
        where = f"{output} is written" if output else "done"
        counted = f"{made.left} lines not taken, {but} differences in lines that are"
        click.echo(f"{where}: {counted}; look at each before you use it", err=True)
