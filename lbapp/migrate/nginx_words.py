"""The grammar of nginx.conf: directives with their words, in blocks, and in files that include others.

Responsible for quotes, escapes, comments and includes as nginx reads them (ngx_conf_file.c). Knows nothing of what a word
means.

Invariants: every directive is kept, with the line that it begins on; a file that nginx would not read because it ends too
early, or that is not there, is an error that names it, and never half a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lbapp.migrate.outcome import Line
from lbapp.model.errors import LbappError

_ESCAPED: Final = {'"': '"', "'": "'", "\\": "\\", "t": "\t", "r": "\r", "n": "\n"}
_HAS_MAGIC: Final = re.compile(r"[*?[]").search
_DEPTH_MAX: Final = 20
# What these files say is for files and for protocols that lbapp does not serve.
_NOT_READ: Final = ("mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params", "fastcgi-php.conf")
_END: Final = (";", "{", "}")


@dataclass(frozen=True, slots=True)
class Directive:
    """A directive. `block`: those in its braces, None where it has none."""

    line: Line
    block: tuple[Directive, ...] | None = None

    @property
    def name(self) -> str:
        """The first word."""
        return self.line.key

    @property
    def words(self) -> tuple[str, ...]:
        """The words behind the first."""
        return self.line.words[1:]

    def of(self, *names: str) -> Iterator[Directive]:
        """Yield those of its block that have one of these names, in their order."""
        return (each for each in self.block or () if each.name in names)

    def all(self) -> Iterator[Directive]:
        """Yield it and all in it, in their order."""
        yield self
        for each in self.block or ():
            yield from each.all()


@dataclass(slots=True)
class _Word:
    """A word, or one of `;`, `{` and `}` where `is_mark`. `end`: where it ends in the text."""

    text: str
    line: int
    is_mark: bool
    end: int


@dataclass
class _File:
    """A file while it is read. `label`: what stands before its line numbers."""

    path: Path
    label: str
    text: str
    words: Iterator[_Word] = field(init=False)
    begun: dict[int, int] = field(default_factory=dict)
    at: int = 0
    line: int = 1

    def __post_init__(self) -> None:
        self.words = self._scan()

    def wrong(self, line: int, why: str) -> LbappError:
        return LbappError(f"{self.path}, line {line}: {why}", "Give a file that `nginx -t` accepts")

    def _scan(self) -> Iterator[_Word]:
        text = self.text
        while self.at < len(text):
            letter = text[self.at]
            if letter == "\n":
                self.line += 1
            if letter in " \t\r\n":
                self.at += 1
            elif letter == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif letter in _END:
                self.at += 1
                yield _Word(letter, self.line, True, self.at)
            elif letter in "\"'":
                yield self._quoted(letter)
            else:
                yield self._bare()

    def _quoted(self, quote: str) -> _Word:
        begin, found = self.line, ""
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != quote:
            found += self._letter()
        if self.at >= len(self.text):
            raise self.wrong(begin, "a quote does not end")
        self.at += 1
        return _Word(found, begin, False, self.at)

    def _bare(self) -> _Word:
        begin, found = self.line, ""
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\n;":
            if self.text[self.at] == "{" and not found.endswith("$"):
                break
            found += self._letter()
        return _Word(found, begin, False, self.at)

    def _letter(self) -> str:
        """Return the next letter of a word; a backslash stays before what it does not escape."""
        letter = self.text[self.at]
        self.at += 1
        self.line += letter == "\n"
        if letter == "\\" and self.at < len(self.text):
            after = self.text[self.at]
            self.at += 1
            self.line += after == "\n"
            return _ESCAPED.get(after, f"\\{after}")
        return letter

    def named(self, words: list[_Word], end: _Word) -> Line:
        """Return a directive's line; a second one on the same line is numbered behind a point."""
        at = words[0].line
        count = self.begun[at] = self.begun.get(at, 0) + 1
        number = f"{self.label}{at}" if count == 1 else f"{self.label}{at}.{count}"
        return Line(
            number,
            f"{' '.join(word.text for word in words)}{';' if end.text == ';' else ' {'}",
            tuple(word.text for word in words),
        )

    def skip_block(self) -> None:
        """Go behind the brace that ends a block in another language."""
        depth = 1
        while depth and self.at < len(self.text):
            letter = self.text[self.at]
            depth += {"{": 1, "}": -1}.get(letter, 0)
            self.line += letter == "\n"
            self.at += 1


def read(path: Path, text: str) -> tuple[Directive, ...]:
    """Return the directives of a file, with those of the files that it includes in their places. Raises LbappError."""
    return tuple(_Reader(path.parent).file(_File(path, "", text), 0))


@dataclass
class _Reader:
    """Reads a file and what it includes: relative names are relative to `folder`, that of the first file, as nginx has it."""

    folder: Path

    def file(self, file: _File, depth: int) -> list[Directive]:
        if depth > _DEPTH_MAX:
            raise file.wrong(1, "it is included by what it includes")
        return self._block(file, depth, None)

    def _block(self, file: _File, depth: int, opened: _Word | None) -> list[Directive]:
        found: list[Directive] = []
        words: list[_Word] = []
        for word in file.words:
            if not word.is_mark:
                words.append(word)
            elif word.text == "}":
                if opened is None or words:
                    raise file.wrong(word.line, "a } stands where none belongs")
                return found
            elif not words:
                raise file.wrong(word.line, f"a {word.text} stands where a directive belongs")
            else:
                found += self._directive(file, depth, words, word)
                words = []
        if words or opened is not None:
            raise file.wrong((words[0] if words else opened or words[0]).line, "it ends before this does")
        return found

    def _directive(self, file: _File, depth: int, words: list[_Word], end: _Word) -> Iterable[Directive]:
        line = file.named(words, end)
        if end.text == ";":
            yield Directive(line)
            if line.key == "include" and len(line.words) == 2:
                yield from self._included(file, depth, line)
        elif line.key.endswith("_by_lua_block"):
            file.skip_block()
            yield Directive(line, ())
        else:
            yield Directive(line, tuple(self._block(file, depth, end)))

    def _named(self, pattern: str) -> list[str]:
        if pattern.startswith("/"):
            return sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.glob(pattern))

    def _included(self, file: _File, depth: int, line: Line) -> Iterable[Directive]:
        pattern = line.words[1]
        if Path(pattern).name in _NOT_READ:
            return
        names = self._named(pattern) if _HAS_MAGIC(pattern) else [pattern]
        for name in names:
            path = self.folder / name
            try:
                text = path.read_text()
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                raise LbappError(
                    f"{path} cannot be read: {why}; line {line.number} of {file.path} includes it",
                    "Put it there, or take the line out",
                ) from error
            yield from self.file(_File(path, f"{name}:", text), depth + 1)
