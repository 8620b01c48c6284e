"""What of a configuration is each node's own, when the nodes of a fleet serve by one text.

Responsible for these keys, and for a text of the fleet as one node has it. Knows nothing of what a configuration means: the text
that comes out is to be read and checked like any other.

Invariant: nothing but these keys is another; what a node's own text does not say is not said in what comes out.
"""

from __future__ import annotations

from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError

# What a process is made with, and by which name its node is known: all of it depends on the machine.
OWN: Final = {
    "engine": ("workers", "control_socket", "state_dir", "operators", "viewers"),
    "cluster": ("node",),
}


def as_of_node(text: str, own: str) -> str:
    """Return a text of the fleet with what is the node's own as in `own`, the text that it serves by.

    A text that is no TOML, or has no such tables, comes out as it is: what is wrong with it is said when it is read.
    """
    try:
        document, mine = tomlkit.parse(text.removeprefix("\ufeff")), tomlkit.parse(own.removeprefix("\ufeff"))
    except (TOMLKitError, ValueError):
        return text
    is_other = False
    for name, keys in OWN.items():
        here: Any = mine.get(name)
        there: Any = document.get(name)
        if there is None and name == "engine" and isinstance(here, dict) and any(key in here for key in keys):
            there = document[name] = tomlkit.table()
        if not isinstance(there, dict):
            continue
        for key in keys:
            value = here.get(key) if isinstance(here, dict) else None
            if there.get(key) == value:
                continue
            is_other = True
            if value is None:
                del there[key]
            else:
                there[key] = value
    return tomlkit.dumps(document) if is_other else text
