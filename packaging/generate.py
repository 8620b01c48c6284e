"""Write the man pages lbapp(1) and lbapp.toml(5) and the completions of bash, zsh and fish into a folder.

Usage: python packaging/generate.py FOLDER, with an interpreter that has lbapp.

Responsible for their text: that of lbapp(1) and of the completions comes from the commands themselves, that of lbapp.toml(5) from
conf/lbapp.reference.toml, which a test holds against the schema. Knows nothing of where they are installed. Invariant: nothing is
said here that is not said there, so nothing has to be kept up to date.
"""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from click.shell_completion import FishComplete, ZshComplete

from lbapp import __version__
from lbapp.cli.context import Settings
from lbapp.cli.main import cli
from lbapp.config.reference import reference_tables, reference_text

_VARIABLE = "_LBAPP_COMPLETE"
# As click's own, which asks for the version of the bash at hand: that of another machine counts.
_BASH = """\
_lbapp_completion() {
    local IFS=$'\\n' response kind value
    COMPREPLY=()
    response=$(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _LBAPP_COMPLETE=bash_complete "$1" 2>/dev/null)
    for response in $response; do
        kind=${response%%,*} value=${response#*,}
        case $kind in
            dir | file) compopt -o default 2>/dev/null ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F _lbapp_completion lbapp
"""


def escaped(text: str) -> str:
    """Return text as roff prints it."""
    for mark, by in (
        ("\\", "\\e"),
        ("-", "\\-"),
        ("'", "\\(aq"),
        ("`", "\\(ga"),
        ("^", "\\(ha"),
        ("~", "\\(ti"),
        ('"', "\\(dq"),
    ):
        text = text.replace(mark, by)
    return text


def filled(text: str) -> str:
    """Return a paragraph in lines that roff takes for text, whatever they begin with."""
    lines = textwrap.wrap(escaped(text), 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines) or "\\&"


def title(name: str, section: int) -> str:
    """Return the head of a page. Its day is today, or that of $SOURCE_DATE_EPOCH, so that a build can be repeated."""
    day = datetime.fromtimestamp(float(os.environ.get("SOURCE_DATE_EPOCH") or time.time()), UTC)
    return f'.TH {name} {section} {day:%Y-%m-%d} "lbapp {__version__}" "lbapp"\n'


def commands(context: click.Context) -> Iterator[click.Context]:
    """Return every command, each as its context, from the outermost on."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            if not command.hidden:
                yield from commands(click.Context(command, info_name=name, parent=context, obj=context.obj))


def options(context: click.Context) -> str:
    """Return the options of a command as a list of tagged paragraphs."""
    text = ""
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(
            parameter, click.Option
        ):  # what an argument is stands in the help of the command
            text += f".TP\n.B {escaped(record[0])}\n{filled(record[1])}\n"
    return text


def command_page() -> str:
    """Return lbapp(1)."""
    root = click.Context(cli, info_name="lbapp", obj=Settings(), **cli.context_settings)
    text = title("LBAPP", 1)
    text += ".SH NAME\nlbapp \\- load balancer that is run from a terminal\n.SH SYNOPSIS\n.B lbapp\n"
    text += f"{filled(' '.join(cli.collect_usage_pieces(root)))}\n"
    text += f".SH DESCRIPTION\n{paragraphs(cli.help or '')}.SH OPTIONS\n{options(root)}.SH COMMANDS\n"
    for context in commands(root):
        if context is not root:
            usage = filled(" ".join(context.command.collect_usage_pieces(context)))
            text += f".SS {escaped(context.command_path.removeprefix('lbapp '))}\n"
            text += f".B {escaped(context.command_path)}\n{usage}\n.PP\n"
            text += paragraphs(context.command.help or "") + options(context)
    text += ".SH ENVIRONMENT\n.TP\n.B LBAPP_SOCKET\nThe control socket, where no option names one.\n"
    text += ".TP\n.B LBAPP_HOST\nThe host whose engine is asked, as ssh://USER@HOST.\n"
    text += ".SH FILES\n.TP\n.I /etc/lbapp/lbapp.toml\nThe configuration, see\n.BR lbapp.toml (5).\n"
    text += ".TP\n.I /run/lbapp/control.sock\nThe control socket of the engine of the system.\n"
    return text + ".SH SEE ALSO\n.BR lbapp.toml (5),\n.I /usr/share/doc/lbapp\n"


def paragraphs(text: str) -> str:
    """Return a help text, each of its paragraphs."""
    return "\n.PP\n".join(filled(part) for part in inspect.cleandoc(text).split("\n\n") if part.strip()) + "\n"


def configuration_page() -> str:
    """Return lbapp.toml(5)."""
    text = (
        title("LBAPP.TOML", 5) + ".SH NAME\nlbapp.toml \\- configuration of the lbapp load balancer\n.SH DESCRIPTION\n"
    )
    text += (
        "The file is TOML. Unknown keys are errors;\n.B lbapp check\n.I FILE\nsays all of them, with line and key.\n"
    )
    text += filled(
        'Durations are strings such as "250ms", "5s", "5m", "1h", sizes such as "512B", "64KiB", "10MiB", "1GiB".'
    )
    text += "\nEach key stands with its default or, where its text says so, with an example.\n.SH TABLES\n"
    for name, table in reference_tables(reference_text()).items():
        text += f".SS [{escaped(name)}]\n"
        if table.words:
            text += f"{filled(table.words)}\n"
        for key, said in table.keys.items():
            text += f'.TP\n.BR {escaped(key)} " = {escaped(said.value)}"\n{filled(said.words)}\n'
    return text + ".SH SEE ALSO\n.BR lbapp (1),\n.I /usr/share/doc/lbapp/configuration.md\n"


def main(folder: Path) -> None:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lbapp.1").write_text(command_page())
    (folder / "lbapp.toml.5").write_text(configuration_page())
    (folder / "lbapp.bash").write_text(_BASH)
    (folder / "_lbapp").write_text(ZshComplete(cli, {}, "lbapp", _VARIABLE).source().lstrip())
    (folder / "lbapp.fish").write_text(FishComplete(cli, {}, "lbapp", _VARIABLE).source().lstrip())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FOLDER")
    main(Path(sys.argv[1]))
