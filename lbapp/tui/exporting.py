"""Writing what is on the screen to a file.

Responsible for a file of JSON lines that nothing was in the place of. Knows nothing of screens. Invariant: no file is ever
overwritten, and one that could not be written whole is not left behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path


def write_lines(path: Path, items: Iterable[object]) -> int:
    """Write each item as a line of JSON; return how many. Raises FileExistsError, OSError."""
    number = 0
    with path.open("x", encoding="utf-8") as file:
        try:
            for item in items:
                file.write(json.dumps(item, ensure_ascii=False) + "\n")
                number += 1
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise
    return number
