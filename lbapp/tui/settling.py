"""Starting the console without looking for garbage.

Responsible for when Python's collector of cycles runs. Knows nothing of what is loaded or shown. What a start makes stays:
modules, classes, style rules, the first rows. Looking through all of it again and again while it grows is a tenth of the CPU
time of a start, and a sixth with ten thousand servers.

Invariant: what was there when the start was over is never looked through again, and everything that came later is.
"""

from __future__ import annotations

import gc
from typing import Final

STARTED_S: Final = 2.0  # after the first screen was mounted: by then the first rows are there, or none come soon


def begin() -> None:
    """Look for no garbage until `settle`."""
    gc.disable()


def settle() -> None:
    """Keep what there is for good, and look for garbage in what comes from now on. Does nothing where `begin` was not called."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
