"""The hint for who opens the console for the first time.

Responsible for saying it once, and for remembering that in a small file. Knows nothing of the screen. Invariant: a file that
cannot be read or written costs a hint more or less, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

HINT: Final = "welcome: ? shows every key, x what can be done, : takes commands"


def hints_file(environment: Mapping[str, str]) -> Path:
    """Return where it is remembered."""
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "lbapp" / "hinted"


def first_hint(path: Path) -> str:
    """Return the hint, and remember that it was given; empty: it was given before. May take as long as the disk."""
    try:
        if path.exists():
            return ""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("the console has said hello\n")
    except (OSError, RuntimeError):
        return ""  # whoever cannot write there would be greeted at every start
    return HINT
