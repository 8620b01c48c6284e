"""From the text of a TOML file to the tables of a schema, or to everything that is wrong with it.

Responsible for reading a file, and for naming each problem with its line and key, whichever schema and rules find them. Knows
nothing of any key, and nothing of who asks.

Invariant: all problems are found in one run (TOML itself stops at its first); a document is returned only when there is none;
nothing but ConfigurationError is raised, whatever the file holds.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from lbapp.config.lines import LineMap, dotted
from lbapp.config.sentences import Found, sentences
from lbapp.config.values import printable
from lbapp.model.errors import ConfigurationError, Problem

_TOO_DEEP: Final = "not valid TOML: nested too deeply"
_Document = TypeVar("_Document", bound=BaseModel)
Rules = Callable[[dict[str, Any]], Iterable[Found]]  # what does not hold between the keys, in data of any shape


def read_text(path: Path) -> str:
    """Return the text of a configuration file, whatever it says. Raises ConfigurationError."""
    file = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        sentence = f"the file is not UTF-8 text: {error.reason}; save it as UTF-8"
        raise ConfigurationError([Problem(file, line, "", sentence)]) from error


def unreadable(file: str, error: OSError) -> ConfigurationError:
    """Return the error of a file that cannot be read."""
    return ConfigurationError([Problem(file, 0, "", f"cannot be read: {error.strerror}")])


def parse_document(text: str, file: str, schema: type[_Document], rules: Rules) -> _Document:
    """Read the tables of a schema from a text; `file` is named in problems. Raises ConfigurationError."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    data = _toml(text, file)
    found: list[Found] = []
    document: _Document | None = None
    try:
        document = schema.model_validate(data)
    except ValidationError as error:
        found += sentences(error, schema)
    found += rules(data)
    if document is not None and not found:
        return document
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
