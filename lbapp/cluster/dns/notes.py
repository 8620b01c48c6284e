"""The notes at `_nodes.NAME`: which node put which addresses in, each a TXT record.

Responsible for a note's text, such as `v=lbapp1 node=lb1 fleet=web addresses=192.0.2.11,2001:db8::11`, and for reading one. Knows
nothing of DNS messages or of who may be taken out. Texts that are none of ours say nothing.

Invariant: what is written is read as the same; nothing that stands in a zone makes reading raise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

_VERSION: Final = "lbapp1"
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}").fullmatch
_SECONDS: Final = re.compile(r"[0-9]{1,12}").fullmatch
_LETTERS_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Note:
    """What a node has, or had, at the name. `fleet`: of its engine; empty: it is alone, or not known.

    `left_s`: when its addresses were taken out, in Unix seconds; None: they are in. `by`: the node that has done that.
    """

    node: str
    addresses: tuple[str, ...]
    fleet: str = ""
    left_s: int | None = None
    by: str = ""

    def text(self) -> str:
        """Return the note as it stands in the zone."""
        parts = [f"v={_VERSION}", f"node={self.node}"]
        if self.fleet:
            parts.append(f"fleet={self.fleet}")
        parts.append(f"addresses={','.join(self.addresses)}")
        if self.left_s is not None:
            parts += [f"left={self.left_s}", f"by={self.by}"]
        return " ".join(parts)


def read_note(text: str) -> Note | None:
    """Return the note that a text is; None: it is none of ours."""
    if len(text) > _LETTERS_MAX:
        return None
    pairs = [part.partition("=") for part in text.split(" ")]
    found = {name: value for name, _, value in pairs}
    node, fleet, left, by = (found.get(name, "") for name in ("node", "fleet", "left", "by"))
    words = [node, *(word for word in (fleet, by) if word)]
    if found.get("v") != _VERSION or len(found) != len(pairs) or not all(map(_WORD, words)):
        return None
    if (left and not _SECONDS(left)) or bool(left) != bool(by):
        return None
    try:
        addresses = tuple(str(ip_address(each)) for each in found.get("addresses", "").split(","))
    except ValueError:
        return None
    return Note(node, addresses, fleet, int(left) if left else None, by)
