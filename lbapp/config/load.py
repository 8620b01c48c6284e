"""From the engine's TOML file to a Configuration, or to everything that is wrong with it.

Responsible for which schema and which rules make a Configuration; document.py reads by them. Knows nothing of who asks.

Invariant: a Configuration is returned only when there is no problem; nothing but ConfigurationError is raised, whatever the file
holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lbapp.config.document import parse_document, read_text, unreadable
from lbapp.config.rules import rules
from lbapp.config.schema import Document
from lbapp.config.secrets import exposed, is_open_to_all
from lbapp.config.sentences import Found
from lbapp.model.entities import Configuration

__all__ = ["load_configuration", "parse_configuration", "parse_for", "read_configuration", "read_text"]


def load_configuration(path: Path) -> Configuration:
    """Read a configuration file. Raises ConfigurationError with every problem found."""
    return read_configuration(path)[1]


def read_configuration(path: Path) -> tuple[str, Configuration]:
    """Read a configuration file; return its text, too. Raises ConfigurationError with every problem found."""
    text = read_text(path)
    return text, parse_for(path, text)


def parse_for(path: Path, text: str) -> Configuration:
    """Read a configuration from a text that stands in a file, or is to. Raises ConfigurationError."""
    file = str(path)
    try:
        is_for_all = is_open_to_all(path.stat().st_mode)
    except OSError as error:
        raise unreadable(file, error) from error
    return parse_configuration(text, file, is_for_all=is_for_all)


def parse_configuration(text: str, file: str, *, is_for_all: bool = False) -> Configuration:
    """Read a configuration from its text; `file` is named in problems. Raises ConfigurationError.

    `is_for_all`: everybody may read the file, so that it must hold no secrets.
    """

    def found(data: dict[str, Any]) -> Iterator[Found]:
        yield from rules(data)
        if is_for_all:
            yield from exposed(data)

    return parse_document(text, file, Document, found).to_model()
