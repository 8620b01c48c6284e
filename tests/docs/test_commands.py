"""Every command line of lbapp that a page names has a verb and options that are there, and every alert has a page to go to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lbapp.cli.context import Settings
from lbapp.cli.main import cli
from lbapp.cli.verbs import VERBS
from tests.docs.test_links import PAGES, ROOT

_BLOCK = re.compile(r"^```(\w*).*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`(lbapp [^`]+)`")
_OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
_ALERT = re.compile(r"\bLbapp[A-Z]\w+")


def command_lines(text: str) -> Iterator[str]:
    """Yield every command line of lbapp on a page: in blocks that are typed, and in its sentences."""
    for kind, block in _BLOCK.findall(text):
        begins = {"": r"^lbapp [^;|&#)]+", "sh": r"(?<![\w/.])lbapp [^;|&#)]+"}.get(kind)
        for line in block.splitlines() if begins else ():
            yield from re.findall(begins or "", line.partition("  #")[0])
    yield from _SPAN.findall(_BLOCK.sub("", text))


def unknown(line: str) -> str:
    """Return what of a command line is not there; empty: it is all there. Words that are no verb end the way to the command."""
    context = click.Context(cli, info_name="lbapp", obj=Settings())
    options = {name: option for option in cli.get_params(context) for name in option.opts}
    words = line.split()[1:]
    while words and isinstance(context.command, click.Group):
        word = words.pop(0)
        if word.startswith("-"):
            is_flag = getattr(options.get(word), "is_flag", True)
            words = words if is_flag else words[1:]
            continue
        if not re.fullmatch(r"[a-z-]+", word):
            break
        command = context.command.get_command(context, word)
        if command is None:
            return f"{word} of {line}"
        context = click.Context(command, info_name=word, parent=context, obj=context.obj)
        options |= {name: option for option in command.get_params(context) for name in option.opts}
    absent = [name for name in _OPTION.findall(line) if name not in options]
    return f"{absent} of {line}" if absent else ""


@pytest.mark.parametrize("page", [each for each in PAGES if each.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_verb_and_option_of_a_page_is_there(page: Path) -> None:
    assert [found for line in command_lines(page.read_text()) if (found := unknown(line))] == []


def test_pages_have_command_lines_and_what_is_not_there_is_found() -> None:
    lines = [line for page in PAGES for line in command_lines(page.read_text())]
    assert len(lines) > 200
    assert unknown("lbapp drain app/s1 --wait") == ""
    assert unknown("lbapp fleet stop-roll") == ""
    assert unknown("lbapp drian app/s1")
    assert unknown("lbapp drain app/s1 --patiently")
    assert unknown("lbapp fleet go-on")


def test_every_verb_stands_on_the_page_of_commands() -> None:
    calls = "\n".join(re.findall(r"^\| (.*?) \|", (ROOT / "docs/commands.md").read_text(), re.MULTILINE))
    assert [verb for verb in VERBS if not re.search(rf"(?<![\w-]){verb}(?![\w-])", calls)] == []


def test_every_alert_says_where_to_go_on_and_no_other_is_named() -> None:
    rules = (ROOT / "packaging/prometheus/lbapp.rules.yml").read_text()
    page = (ROOT / "docs/incidents.md").read_text()
    assert set(re.findall(r"alert: (\w+)", rules)) == set(_ALERT.findall(page))
