"""A configuration that is being written: its tables, and which lines of another file each key comes from.

Responsible for its text, and for taking back what lbapp would refuse. Knows nothing of where it comes from. Invariants: the text
is what `lbapp check` accepts, once it is settled; with a key that is taken back goes what would mean something else without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import ValidationError

from lbapp.config.lines import Path, dotted
from lbapp.config.rules import rules
from lbapp.config.schema import Document
from lbapp.config.sentences import sentences
from lbapp.config.values import is_bare_key


@dataclass
class Table:
    """A table. `sources`: by key, or by "" for its header, where it comes from, such as "12" or "site.conf:3"."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)

    def put(self, key: str, value: Any, *sources: str) -> None:
        """Set a key."""
        self.values[key] = value
        self.sources.setdefault(key, []).extend(each for each in sources if each not in self.sources.get(key, []))

    def table(self, key: str, *sources: str) -> Table:
        """Return the table under a key, made when it is not there."""
        made = self.values.setdefault(key, Table())
        assert isinstance(made, Table)
        made.note(*sources)
        return made

    def add(self, key: str, *sources: str) -> Table:
        """Return another table of the array under a key."""
        made = Table()
        made.note(*sources)
        self.values.setdefault(key, []).append(made)
        return made

    def note(self, *sources: str) -> None:
        """Say where the table itself comes from."""
        self.sources.setdefault("", []).extend(each for each in sources if each not in self.sources.get("", []))

    def data(self) -> dict[str, Any]:
        """Return what tomllib would read from the text."""
        return {key: _plain(value) for key, value in self.values.items()}

    def all_sources(self) -> set[str]:
        """Return everything that this table and those in it come from."""
        found = {each for sources in self.sources.values() for each in sources}
        for value in self.values.values():
            for inner in [value] if isinstance(value, Table) else value if isinstance(value, list) else []:
                if isinstance(inner, Table):
                    found |= inner.all_sources()
        return found


def text_of(draft: Table) -> str:
    """Return the TOML of a draft; where something comes from stands behind it."""
    return "\n".join(_lines(draft, ())).strip("\n") + "\n"


class TakenBack(NamedTuple):
    """What a key or table that is taken back came from, with all that stands in it; its own sources; and why."""

    sources: set[str]
    own: set[str]
    why: str


def settle(draft: Table) -> list[TakenBack]:
    """Take back what lbapp refuses, until it refuses nothing; return what was taken back."""
    taken_back: list[TakenBack] = []
    while draft.values:
        found = next(_refused(draft), None)
        if found is None:
            break
        path, why = found
        at = _cut(draft, path)
        if at is None:  # a rule of the whole file, such as that there is a listener
            break
        sources, own = _remove(draft, at)
        taken_back.append(TakenBack(sources, own, f"{dotted(path)}: {why}"))
    return taken_back


def problems(draft: Table) -> list[str]:
    """Return what lbapp refuses."""
    return [f"{dotted(path)}: {why}" for path, why in _refused(draft)]


def _refused(draft: Table) -> Iterator[tuple[Path, str]]:
    data = draft.data()
    try:
        Document.model_validate(data)
    except ValidationError as error:
        yield from sentences(error, Document)
    yield from rules(data)


def _cut(draft: Table, path: Path) -> Path | None:
    """Return the path of what has to go for a problem; None: it is of the whole file."""
    names = [part for part in path if isinstance(part, str)]
    if names[:2] == ["listener", "tls"]:
        return path[:2]
    for name in ("route", "server"):
        if name in names:
            at = path.index(name)
            return path[: at + 2] if len(path) > at + 1 else path[: at + 1]
    while path and not _has(draft, path):
        path = path[:-1]
    return path if len(path) > 1 else None


def _has(draft: Table, path: Path) -> bool:
    value: Any = draft
    for part in path:
        if isinstance(value, Table) and part in value.values:
            value = value.values[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return False
    return True


def _remove(draft: Table, path: Path) -> tuple[set[str], set[str]]:
    above: Any = draft
    for part in path[:-1]:
        above = above.values[str(part)] if isinstance(above, Table) else above[part]
    last: Any = path[-1]
    own: set[str] = set()
    if isinstance(above, Table):
        gone = above.values.pop(last)
        own |= set(above.sources.pop(last, []))
    else:
        gone = above.pop(last)
    sources = set(own)
    for each in gone if isinstance(gone, list) else [gone]:
        if isinstance(each, Table):
            sources |= each.all_sources()
            own |= set(each.sources.get("", []))
    return sources, own


def _plain(value: Any) -> Any:
    if isinstance(value, Table):
        return value.data()
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _lines(table: Table, path: tuple[str, ...]) -> Iterator[str]:
    inner = []
    for key, value in table.values.items():
        if isinstance(value, Table) or (isinstance(value, list) and value and isinstance(value[0], Table)):
            inner.append((key, value))
        else:
            yield f"{_key(key)} = {_value(value)}{_comment(table, key)}"
    for key, value in inner:
        here = (*path, key)
        name = ".".join(map(_key, here))
        for each in value if isinstance(value, list) else [value]:
            yield ""
            yield (f"[[{name}]]" if isinstance(value, list) else f"[{name}]") + _comment(each, "")
            yield from _lines(each, here)


def _comment(table: Table, key: str) -> str:
    sources = table.sources.get(key)
    return f"  # {', '.join(sources)}" if sources else ""


def _key(key: str) -> str:
    return key if is_bare_key(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for DEL, which only TOML asks for
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
