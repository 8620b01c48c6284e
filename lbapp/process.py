"""What a process of lbapp is to the system around it: the name that the kernel has for it.

Responsible for that alone. Knows nothing of what the process does.

Invariant: nothing here ends a process or fails: where the system does not let it, it goes on as it was.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

_NAME: Final = Path("/proc/self/comm")


def name_process(name: str) -> None:
    """Have ps, top and pgrep show this process by a name of up to 15 letters, however it was started.

    What is run as a script has the name of the script; an engine that another one has started, or a worker, that of Python.
    """
    with suppress(OSError):  # without /proc it keeps the name that it has
        _NAME.write_text(name)
