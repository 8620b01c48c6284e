"""From a TOML file to a Configuration, or to everything that is wrong with it.

Responsible for reading the file and for naming each problem with its line and key; schema.py and rules.py find them.
Knows nothing of who asks.

Invariant: all problems are found in one run (TOML itself stops at its first); a Configuration is returned only when there
is none; nothing but ConfigurationError is raised, whatever the file holds.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lbapp.config.lines import LineMap
from lbapp.config.rules import dotted, rules
from lbapp.config.schema import Document
from lbapp.config.secrets import exposed, is_open_to_all
from lbapp.config.sentences import Found, sentences
from lbapp.config.values import printable
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError, Problem

_TOO_DEEP = "not valid TOML: nested too deeply"


def load_configuration(path: Path) -> Configuration:
    """Read a configuration file. Raises ConfigurationError with every problem found."""
    return read_configuration(path)[1]


def read_configuration(path: Path) -> tuple[str, Configuration]:
    """Read a configuration file; return its text, too. Raises ConfigurationError with every problem found."""
    text = read_text(path)
    return text, parse_for(path, text)


def read_text(path: Path) -> str:
    """Return the text of a configuration file, whatever it says. Raises ConfigurationError."""
    file = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        sentence = f"the file is not UTF-8 text: {error.reason}; save it as UTF-8"
        raise ConfigurationError([Problem(file, line, "", sentence)]) from error


def parse_for(path: Path, text: str) -> Configuration:
    """Read a configuration from a text that stands in a file, or is to. Raises ConfigurationError."""
    file = str(path)
    try:
        is_for_all = is_open_to_all(path.stat().st_mode)
    except OSError as error:
        raise _unreadable(file, error) from error
    return parse_configuration(text, file, is_for_all=is_for_all)


def _unreadable(file: str, error: OSError) -> ConfigurationError:
    return ConfigurationError([Problem(file, 0, "", f"cannot be read: {error.strerror}")])


def parse_configuration(text: str, file: str, *, is_for_all: bool = False) -> Configuration:
    """Read a configuration from its text; `file` is named in problems. Raises ConfigurationError.

    `is_for_all`: everybody may read the file, so that it must hold no secrets.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    data = _toml(text, file)
    found: list[Found] = []
    document: Document | None = None
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        found += sentences(error)
    found += rules(data)
    if is_for_all:
        found += exposed(data)
    if document is not None and not found:
        return document.to_model()
    lines = LineMap(text)
    problems = [Problem(file, lines.line_of(path), dotted(path), printable(sentence)) for path, sentence in found]
    raise ConfigurationError(sorted(problems, key=lambda problem: problem.line))


def _toml(text: str, file: str) -> dict[str, Any]:
    line, sentence = 0, _TOO_DEEP
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(match[1]) if match else len(text.splitlines())
        sentence = "not valid TOML: " + re.sub(r" \(at .*\)$", "", str(error))
    except ValueError:  # int() takes no more digits than sys.get_int_max_str_digits()
        match = re.search(r"[0-9_]{4300,}", text)
        line = text.count("\n", 0, match.start()) + 1 if match else 0
        sentence = "not valid TOML: a number has too many digits"
    except RecursionError:
        pass
    raise ConfigurationError([Problem(file, line, "", sentence)])
