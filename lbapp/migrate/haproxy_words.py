"""The grammar of haproxy.cfg: lines of words, in sections.

Responsible for quotes, escapes, comments and variables (HAProxy's configuration manual, sections 2.2 and 2.3), and for what a
proxy inherits from which defaults. Knows nothing of what a word means.

Invariants: every line that is neither blank nor a comment is a Line, whatever stands in it; one with a variable that the file
itself does not set has no words, as what HAProxy would read there is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from lbapp.migrate.outcome import Line

_SECTIONS: Final = frozenset(
    (
        "global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "mailers", "cache",
        "program", "ring", "http-errors", "log-forward", "fcgi-app", "crt-store", "traces",
    )
)  # fmt: skip
_PROXIES: Final = ("frontend", "backend", "listen", "defaults")
_ADDED: Final = ("default-server", "http-request", "http-response", "tcp-request", "tcp-response", "stats")
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", **{each: each for each in " \\#'\""}}
_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


@dataclass
class Section:
    """A section: its first line, those in it, and those of the defaults that it has."""

    head: Line
    lines: list[Line] = field(default_factory=list)
    defaults: list[Line] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Which kind it is, such as `backend`."""
        return self.head.key

    @property
    def name(self) -> str:
        """Its name, or nothing."""
        return self.head.words[1] if len(self.head.words) > 1 and self.head.words[1] != "from" else ""

    @property
    def wanted_defaults(self) -> str | None:
        """The name of the defaults that it asks for (`backend b from NAME`); None: it asks for none."""
        words = self.head.words
        return words[words.index("from") + 1] if "from" in words[1:-1] else None

    def with_defaults(self) -> Iterator[Line]:
        """Yield the lines that hold: those of the defaults that no line here replaces, then its own."""
        own = {_meaning(line) for line in self.lines}
        yield from (line for line in self.defaults if _meaning(line) not in own)
        yield from (line for line in self.lines if line.key != "no")


@dataclass
class _Reader:
    """What is known while lines are read: the sections, the defaults by name, and the variables that the file sets."""

    sections: list[Section] = field(default_factory=list)
    outside: list[Line] = field(default_factory=list)
    last_defaults: Section | None = None
    by_name: dict[str, Section] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    depth: int = 0

    def take(self, line: Line) -> None:
        self.depth += line.key == ".if"
        if self.depth or line.key.startswith("."):
            # A condition: what holds is decided when HAProxy starts.
            self.outside.append(Line(line.number, line.text, ()))
            self.depth -= line.key == ".endif"
        elif line.key in _SECTIONS:
            self._begin(Section(line))
        else:
            if line.key in ("setenv", "presetenv") and len(line.words) == 3:
                self.variables[line.words[1]] = line.words[2]
            (self.sections[-1].lines if self.sections else self.outside).append(line)

    def _begin(self, section: Section) -> None:
        if section.kind in _PROXIES:
            wanted = section.wanted_defaults
            # Named ones that no proxy asks for by name hold for those behind them all the same, but never for other defaults.
            found = self.by_name.get(wanted) if wanted is not None else None
            if wanted is None and section.kind != "defaults":
                found = self.last_defaults
            section.defaults = [] if found is None else list(found.with_defaults())
        if section.kind == "defaults":
            self.last_defaults = section
            self.by_name[section.name] = section
        self.sections.append(section)


def read(text: str) -> tuple[list[Section], list[Line]]:
    """Return the sections, and the lines that stand in none."""
    reader = _Reader()
    for number, raw in enumerate(text.split("\n"), 1):
        line = Line(str(number), raw.strip(), words_of(raw, reader.variables))
        if line.text and not line.text.startswith("#"):
            reader.take(line)
    return reader.sections, reader.outside


def words_of(line: str, variables: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the words of a line without its comment; none where a quote does not end or a variable is not known."""
    words: list[str] = []
    word: str | None = None
    quote, at = "", 0
    while at < len(line):
        letter = line[at]
        if letter == "\\" and quote != "'" and at + 1 < len(line):
            at += 1  # what is no escape keeps its backslash, as expressions need it
            kept = "$" if quote and line[at] == "$" else f"\\{line[at]}"
            word = (word or "") + _ESCAPED.get(line[at], kept)
        elif quote and letter == quote:
            quote = ""
        elif not quote and letter in "\"'":
            quote, word = letter, word or ""
        elif not quote and letter == "#":
            break
        elif not quote and letter in " \t\r":
            words, word = ([*words, word], None) if word is not None else (words, None)
        elif quote == '"' and letter == "$":
            value, at = _variable(line, at + 1, variables or {})
            if value is None:
                return ()
            word = (word or "") + value
        else:
            word = (word or "") + letter
        at += 1
    if quote:
        return ()
    return tuple([*words, word] if word is not None else words)


def has_variable(line: Line) -> bool:
    """Say whether a line has no words because of a variable."""
    return not line.words and '"' in line.text and "$" in line.text


def _variable(line: str, at: int, variables: Mapping[str, str]) -> tuple[str | None, int]:
    """Return the value of the variable whose name begins there, None where it is not known; and where its last letter stands."""
    is_braced = line[at : at + 1] == "{"
    begin = end = at + is_braced
    while end < len(line) and line[end] in _LETTERS:
        end += 1
    name, default = line[begin:end], None
    if is_braced:
        close = line.find("}", end)
        if close < 0:
            return None, end
        default = line[end + 1 : close] if line[end] == "-" else None
        if default is None and close != end:
            return None, end
        end = close + 1
    return variables.get(name, default), end - 1


def _meaning(line: Line) -> tuple[str, ...]:
    """Return by which words a line stands in place of another: `no option httplog` in that of `option httplog`."""
    words = line.words[1:] if line.key == "no" else line.words
    if line.key in _ADDED:
        return (*words, line.number)
    return words[:2] if words[:1] in (("timeout",), ("option",), ("http-check",)) else words[:1]
