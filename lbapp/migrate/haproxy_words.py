"""The grammar of haproxy.cfg: lines of words, in sections.

Responsible for quotes, escapes and comments (HAProxy's configuration manual, section 2.2), and for what a proxy inherits. Knows
nothing of what a word means. Invariant: every line that is neither blank nor a comment is a Line, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lbapp.migrate.outcome import Line

_SECTIONS: Final = frozenset(
    (
        "global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "mailers", "cache", "program",
        "ring", "http-errors", "log-forward", "fcgi-app", "crt-store", "traces",
    )
)  # fmt: skip
_PROXIES: Final = ("frontend", "backend", "listen")
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r"}


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
        return self.head.words[1] if len(self.head.words) > 1 else ""

    def with_defaults(self) -> Iterator[Line]:
        """Yield the lines that hold: those of the defaults that no line here replaces, then its own."""
        own = {_meaning(line) for line in self.lines}
        yield from (line for line in self.defaults if _meaning(line) not in own)
        yield from self.lines


def read(text: str) -> tuple[list[Section], list[Line]]:
    """Return the sections, and the lines that stand in none."""
    sections: list[Section] = []
    outside: list[Line] = []
    defaults: list[Line] = []
    depth = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = Line(str(number), raw.strip(), words_of(raw))
        if not line.text or line.text.startswith("#"):
            continue
        depth += line.key == ".if"
        if depth or line.key.startswith("."):
            outside.append(Line(line.number, line.text, ()))  # a condition: what holds is decided when HAProxy starts
            depth -= line.key == ".endif"
        elif line.key in _SECTIONS:
            sections.append(Section(line))
            if line.key == "defaults":
                defaults = sections[-1].lines
            elif line.key in _PROXIES:
                sections[-1].defaults = defaults
        else:
            (sections[-1].lines if sections else outside).append(line)
    return sections, outside


def words_of(line: str) -> tuple[str, ...]:
    """Return the words of a line without its comment; none where a quote does not end or a variable would be put in."""
    words: list[str] = []
    word: str | None = None
    quote, at = "", 0
    while at < len(line):
        letter = line[at]
        if letter == "\\" and quote != "'" and at + 1 < len(line):
            at += 1
            word = (word or "") + _ESCAPED.get(line[at], line[at])
        elif quote and letter == quote:
            quote = ""
        elif not quote and letter in "\"'":
            quote, word = letter, word or ""
        elif not quote and letter == "#":
            break
        elif not quote and letter in " \t\r":
            words, word = ([*words, word], None) if word is not None else (words, None)
        elif quote == '"' and letter == "$":
            return ()
        else:
            word = (word or "") + letter
        at += 1
    if quote:
        return ()
    return tuple([*words, word] if word is not None else words)


def _meaning(line: Line) -> tuple[str, ...]:
    """Return by which words a line stands in place of another: `no option httplog` in that of `option httplog`."""
    words = line.words[1:] if line.key == "no" else line.words
    return words[:2] if words[:1] in (("timeout",), ("option",), ("http-check",)) else words[:1]
