"""What the reference configuration says of each table and key.

Responsible for taking conf/lbapp.reference.toml apart: its tables in their order, and of each key the value that stands there
and the words behind it. Knows nothing of which keys there are: the schema does. The JSON schema, the man page lbapp.toml(5) and
docs/reference.md all say what is said there, and nothing else.

Invariant: where a table or key stands more than once, the first time counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

_HEADER: Final = re.compile(r"^\[\[?([\w.]+)\]\]?\s*(?:# (.*))?$")
_KEY: Final = re.compile(r"^(\w+) = (.*)$")
_MORE: Final = re.compile(r"^\s+# (.*)$")


@dataclass
class Said:
    """What stands at a key, as it is written there, and what is said of it; both may be empty."""

    value: str = ""
    words: str = ""


@dataclass
class ReferenceTable:
    """One table: `words` are of the table itself; `keys` stand in their order."""

    words: str = ""
    keys: dict[str, Said] = field(default_factory=dict)


def reference_text() -> str:
    """Return the reference configuration."""
    return files("lbapp.config").joinpath("reference.toml").read_text()


def reference_tables(text: str) -> dict[str, ReferenceTable]:
    """Return the tables of a reference by their names, such as `listener.route`.

    Tables and keys that stand there as comments, because they need files, are taken as well.
    """
    found: dict[str, ReferenceTable] = {}
    table = ReferenceTable()
    last: ReferenceTable | Said = table
    for raw in text.splitlines():
        line = re.sub(r"^# (?=\[|\w+ = )", "", raw)
        if header := _HEADER.match(line):
            last = ReferenceTable(header[2] or "")
            table = found.setdefault(header[1], last)
        elif key := _KEY.match(line):
            value, _, words = key[2].partition("  # ") if "  # " in key[2] else key[2].partition(" # ")
            last = Said(value.strip(), words.strip())
            table.keys.setdefault(key[1], last)
        elif more := _MORE.match(line):
            last.words += f" {more[1]}"
    return found
