"""Which line of a TOML text holds which key.

Responsible for finding the line of a key path, so that a problem can name it: under headers and dotted keys, inside inline
tables and arrays. Knows nothing of what keys mean. TOML readers give values without their places; this is a scanner over
text that a TOML reader has accepted already, so it need not find errors itself.

Invariant: every path has an answer: the line of the key, or else of the nearest table around it that stands in the text.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Final

from lbapp.config.values import is_bare_key, quoted

Path = tuple[str | int, ...]
Placed = tuple[Path, dict[str, Any]]  # a table, with where it stands

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART: Final = re.compile(r"""[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
# Up to two quotes may stand before the closing three.
_STRING: Final = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*'""",
    re.DOTALL,
)
_BARE_VALUE: Final = re.compile(r"[^,\]}#\n]+")


class LineMap:
    """The lines of one TOML text, counted from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._offsets: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._table: Path = ()
        self._at = 0
        while self._skip_blank():
            if self._text[self._at] == "[":
                self._header()
            else:
                self._key_and_value(self._table)

    def line_of(self, path: Path) -> int:
        """Return the line of a key path, such as ("pool", 0, "weight"); 0 when nothing around it stands in the text."""
        while path:
            if path in self._offsets:
                return bisect_right(self._line_ends, self._offsets[path]) + 1
            path = path[:-1]
        return 0

    def places(self) -> Iterator[tuple[Path, int]]:
        """Yield every key path that stands in the text, with its line."""
        for path in self._offsets:
            yield path, self.line_of(path)

    def _header(self) -> None:
        start = self._at
        brackets = 2 if self._text.startswith("[[", start) else 1
        self._at += brackets
        key = self._key()
        self._at += brackets
        path: Path = ()
        for part in key[:-1]:
            path += (part,)
            if path in self._counts:
                path += (self._counts[path] - 1,)
        path += key[-1:]
        if brackets == 2:
            self._counts[path] = self._counts.get(path, 0) + 1
            path += (self._counts[path] - 1,)
        self._table = path
        self._note(path, start)

    def _key_and_value(self, table: Path) -> None:
        start = self._at
        path = table + self._key()
        self._note(path, start)
        self._at += 1  # the equals sign
        if self._skip_blank():
            self._value(path)

    def _value(self, path: Path) -> None:
        letter = self._text[self._at]
        if letter == "[":
            self._array(path)
        elif letter == "{":
            self._inline_table(path)
        else:
            self._take(_STRING if letter in "\"'" else _BARE_VALUE)

    def _array(self, path: Path) -> None:
        count = 0
        self._at += 1
        while self._skip_blank() and self._text[self._at] != "]":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._note((*path, count), self._at)
            self._value((*path, count))
            count += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._skip_blank() and self._text[self._at] != "}":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._key_and_value(path)
        self._at += 1

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while match := _KEY_PART.match(self._text, self._at):
            part = match[1]
            parts.append(tomllib.loads(f"key = {part}")["key"] if part[0] in "\"'" else part)
            self._at = match.end()
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return tuple(parts)

    def _note(self, path: Path, offset: int) -> None:
        for end in range(1, len(path) + 1):
            self._offsets.setdefault(path[:end], offset)

    def _skip_blank(self) -> bool:
        """Go to what is neither space nor comment; say whether there is any."""
        self._take(_BLANK)
        return self._at < len(self._text)

    def _take(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else len(self._text)


def tables_in(table: dict[str, Any], path: Path, key: str) -> Iterator[Placed]:
    """Yield the tables of the array `key` of a table that stands at `path`; what is no table is left out."""
    value = table.get(key)
    for at, each in enumerate(value if isinstance(value, list) else []):
        if isinstance(each, dict):
            yield (*path, key, at), each


def dotted(path: Path) -> str:
    """Return a key path as it is shown, such as `pool[0].server[1].weight`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f"{'.' if text else ''}{part if is_bare_key(part) else quoted(part)}"
    return text
