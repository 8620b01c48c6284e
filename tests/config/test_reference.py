"""The reference configuration taken apart: what the man page, the schema and docs/reference.md say of each key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lbapp.config.reference import Said, reference_tables, reference_text

ROOT = Path(__file__).parents[2]
TEXT = """\
[engine]                           # of the node
workers = 2                        # default: one per CPU
note = "a # b"  # behind a value that has the sign itself
# file = "/x"                      # needs a file
                                   # and goes on here

# [listener.tls]                   # is a table, too
# key = "/y"
[[pool]]
name = "first"                     # what counts
[[pool]]
name = "second"                    # what does not count
"""


def test_tables_and_keys_are_found_with_their_values_and_words() -> None:
    found = reference_tables(TEXT)
    assert list(found) == ["engine", "listener.tls", "pool"]
    assert found["engine"].words == "of the node"
    assert found["engine"].keys == {
        "workers": Said("2", "default: one per CPU"),
        "note": Said('"a # b"', "behind a value that has the sign itself"),
        "file": Said('"/x"', "needs a file and goes on here"),
    }
    assert found["listener.tls"].words == "is a table, too"


def test_first_of_several_counts() -> None:
    assert reference_tables(TEXT)["pool"].keys == {"name": Said('"first"', "what counts")}


def test_every_key_of_the_reference_page_says_what_it_is_for() -> None:
    rows = [line for line in (ROOT / "docs/reference.md").read_text().splitlines() if line.startswith("| `")]
    assert len(rows) > len(reference_tables(reference_text()))
    assert [row for row in rows if row.endswith("|  |")] == []


def test_reference_page_is_what_schema_and_reference_say_now(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "packaging/reference.py"), str(tmp_path / "reference.md")]
    subprocess.run(command, cwd=ROOT, check=True)
    made = (tmp_path / "reference.md").read_text()
    assert made == (ROOT / "docs/reference.md").read_text(), "write it anew: python packaging/reference.py"
