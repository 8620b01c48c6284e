"""Another load balancer's file: whose it is, and what it says in lbapp's words.

Responsible for reading it and for telling by its content whose it is. Knows nothing of any grammar beyond that. Invariant: a
file that could be of either is read as the one that its name says, or not at all.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lbapp.migrate.haproxy import from_haproxy
from lbapp.migrate.nginx import from_nginx
from lbapp.migrate.outcome import Outcome
from lbapp.model.errors import LbappError

_HAPROXY: Final = re.compile(
    r"^[ \t]*(?:global|defaults|(?:frontend|backend|listen)[ \t]+[^\s;{]+)[^;{]*$", re.MULTILINE
)
_NGINX: Final = re.compile(
    r"^[ \t]*(?:(?:http|events|stream|server)|upstream[ \t]+\S+|location[ \t][^{\n]+)\s*\{", re.MULTILINE
)


def translate(file: Path) -> tuple[str, Outcome]:
    """Return for whose a file is taken, and what came of it. Raises LbappError: it cannot be read, or nothing could be made."""
    text = read_text(file)
    is_haproxy, is_nginx = bool(_HAPROXY.search(text)), bool(_NGINX.search(text))
    if is_haproxy == is_nginx:
        is_haproxy, is_nginx = file.suffix == ".cfg", file.suffix == ".conf"
    if is_haproxy:
        return "a haproxy.cfg", from_haproxy(text, file.name)
    if is_nginx:
        return "an nginx.conf", from_nginx(text, file)
    raise LbappError(
        f"{file} is neither a haproxy.cfg nor an nginx.conf: it has no section and no block of either",
        "Name the file itself; one that is only a part of another is known by the name's end, .cfg or .conf",
    )


def read_text(file: Path) -> str:
    """Return what stands in a file. Raises LbappError."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise LbappError(f"{file} cannot be read: {why}", "Name a file that can") from error
