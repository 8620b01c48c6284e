"""The documentation of the console says what the console has.

With LBAPP_SNAPSHOTS=write the table of keys is written, not compared.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.binding import Binding

from lbapp.tui.acting import Acting
from lbapp.tui.commanding import Commanding
from lbapp.tui.keys import key_name
from lbapp.tui.pane import DetailPane
from lbapp.tui.screens.config import ConfigPane
from lbapp.tui.screens.events import EventsPane
from lbapp.tui.screens.requests import RequestsPane
from lbapp.tui.screens.server import ServerPane
from lbapp.tui.shell import Shell
from lbapp.tui.travelling import Travelling
from lbapp.tui.widgets.scroll import Scroll
from lbapp.tui.widgets.table import LineTable
from tests.tui.screenshots import PICTURE_BYTES_MAX, PICTURES
from tests.tui.snapshots import IS_WRITING

PAGE = Path("docs/tui.md")
PLACES = {
    "everywhere": (Shell, Commanding), "changes": (Acting,), "time": (Travelling,), "lists": (LineTable,),
    "a pool, a server": (DetailPane,), "a server": (ServerPane,), "requests": (RequestsPane,), "events": (EventsPane,),
    "config": (ConfigPane,), "pages": (Scroll,),
}  # fmt: skip
BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->"


def keys_table() -> str:
    """Return the keys of the bindings as a table, those that do the same together."""
    lines = ["| where | keys | |", "|---|---|---|"]
    for place, classes in PLACES.items():
        lines += [f"| {place} | {keys} | {does} |" for keys, does in written(classes)]
    return "\n".join([*lines, ""])


def written(classes: tuple[type, ...]) -> Iterator[tuple[str, str]]:
    for each in classes:
        for binding in each.__dict__["BINDINGS"]:
            assert isinstance(binding, Binding)
            keys = [key_name(key.strip()) for key in binding.key.split(",")]
            yield " ".join(f"`{key}`" for key in keys), binding.description


def test_page_has_every_key_that_the_bindings_have_and_no_other() -> None:
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    found, _, after = rest.partition(END)
    if IS_WRITING:
        PAGE.write_text(before + BEGIN + keys_table() + END + after)
    else:
        assert found == keys_table(), "write it anew with LBAPP_SNAPSHOTS=write"


def test_every_binding_has_an_id_and_words_and_none_needs_more_than_a_plain_keyboard() -> None:
    for classes in PLACES.values():
        for each in classes:
            for binding in each.__dict__["BINDINGS"]:
                assert binding.id, binding
                assert binding.description, binding
                assert not re.search(r"shift\+tab|alt\+|ctrl\+(up|down|left|right|enter)", binding.key), binding


@pytest.mark.parametrize("page", [*sorted(Path("docs").glob("*.md")), Path("README.md")], ids=str)
def test_every_picture_that_a_page_shows_exists_and_is_small(page: Path) -> None:
    for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text()):
        assert 0 < (page.parent / name).stat().st_size <= PICTURE_BYTES_MAX, name


@pytest.mark.system
def test_pictures_are_drawn_anew_from_the_demo_and_fetch_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.tui.screenshots", str(tmp_path)], check=True)
    assert {path.stem for path in tmp_path.iterdir()} == set(PICTURES)
    for path in tmp_path.iterdir():
        text = path.read_text()
        assert "<svg" in text
        assert len(text) <= PICTURE_BYTES_MAX
        assert not re.search(r"url\(\"?https?:|@font-face|@import", text)
