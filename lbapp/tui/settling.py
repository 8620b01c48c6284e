"""When Python's collector of cycles runs, and memory is given back: not while the console starts, and behind each dialog.

Responsible for that. Knows nothing of what is loaded or shown. What a start makes stays: modules, classes, style rules, the
first rows. Looking through all of it again and again while it grows is a tenth of the CPU time of a start, and a sixth with ten
thousand servers. What a dialog leaves goes soon: left alone, six of them are 25,000 objects, and a block behind some key.
The C library gives back by itself only what is free at the end of its heap, where something always stays.

Invariant: what was there when the start was over is never looked through again, and everything that came later is.
"""

from __future__ import annotations

import asyncio
import gc
from contextvars import Context
from typing import Final

STARTED_S: Final = (
    5.0  # after the first screen was mounted: by then all are made, or no figures come that they wait for
)
SWEPT_S: Final = 1.0  # after a dialog was closed: until then the event loop holds on to it for timers that it had


def begin() -> None:
    """Look for no garbage until `settle`."""
    gc.disable()


def settle() -> None:
    """Keep what there is for good, and look for garbage in what comes from now on. Does nothing where `begin` was not called."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def sweep_soon() -> None:
    """Look for garbage in a moment, on the event loop that runs, and give back to the system what is free."""
    # In a context of its own: the one here would keep alive what is to go.
    asyncio.get_running_loop().call_later(SWEPT_S, sweep, context=Context())


def sweep() -> None:
    """Look for garbage now, and give back what is free: 12 ms, of which the second is a tenth of one."""
    import ctypes  # the first figures are not to wait for it

    gc.collect()
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc: others have no such call, or need none
    if give_back is not None:
        give_back(0)
