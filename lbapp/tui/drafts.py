"""Drafts of configurations, kept until they are applied or thrown away.

Responsible for a file of its own for each engine's configuration, in the operator's own state folder. Knows nothing of
editing. Invariants: a draft is for its owner's eyes alone, as it may hold secrets; it is replaced at one stroke; it says from
which file, and from which state of it, it was begun; a folder that cannot be written costs the draft its safety and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lbapp.tui.format import clean

DRAFT_BYTES_MAX: Final = 8 * 1024 * 1024
# The first line of a draft, a comment: the rest is the text as it was written.
_HEAD: Final = re.compile(r"# draft of (?P<path>.*) as of (?P<digest>[0-9a-f]*)\n")


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that is written. `path`: the file that it was begun from; `digest`: of that file then, empty where it had none."""

    text: str
    path: str
    digest: str


def state_folder(environment: Mapping[str, str]) -> Path:
    """Return where the console keeps what is its operator's: `$XDG_STATE_HOME/lbapp`, or the default for that."""
    named = environment.get("XDG_STATE_HOME", "")
    return (Path(named) if named.startswith("/") else Path.home() / ".local" / "state") / "lbapp"


class Drafts:
    """The drafts in one folder. `what` names a configuration: the engine and the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, what: str) -> Path:
        """Return where the draft of a configuration is kept."""
        return self._folder / f"draft-{hashlib.sha256(what.encode()).hexdigest()[:16]}.toml"

    def load(self, what: str) -> Draft | None:
        """Return a draft; None: there is none that can be read."""
        try:
            data = self.path(what).read_bytes()
            text = data.decode() if len(data) <= DRAFT_BYTES_MAX else ""
        except (OSError, UnicodeDecodeError):
            return None
        head = _HEAD.match(text)
        return Draft(text[head.end() :], head["path"], head["digest"]) if head else None

    def keep(self, what: str, draft: Draft) -> str:
        """Keep a draft; return why it cannot be kept, as a sentence, or nothing."""
        path = self.path(what)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd, made = tempfile.mkstemp(dir=self._folder, prefix=".draft-")
        except OSError as error:
            return f"the draft cannot be kept in {self._folder}: {(error.strerror or str(error)).lower()}"
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as opened:
                opened.write(f"# draft of {clean(draft.path)} as of {draft.digest}\n{draft.text}")
            os.replace(made, path)  # noqa: PTH105 - beside mkstemp's own name
        except (OSError, UnicodeEncodeError) as error:
            Path(made).unlink(missing_ok=True)
            return f"the draft cannot be kept in {self._folder}: {str(error).lower()}"
        return ""

    def forget(self, what: str) -> None:
        """Throw a draft away, if there is one."""
        try:
            self.path(what).unlink(missing_ok=True)
        except OSError:
            pass  # it is offered again, and can be thrown away again
