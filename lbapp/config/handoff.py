"""The file of `lbapp handoff`: its keys, and what makes no sense between them.

Responsible for these keys and for turning them into the model. Knows nothing of the engine's file or of the kernel. Invariant:
all problems are found in one run, each with its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from lbapp.config import values
from lbapp.config.addresses import distant, several
from lbapp.config.document import parse_document, read_text
from lbapp.config.lines import tables_in
from lbapp.config.sentences import Found
from lbapp.config.table import Table
from lbapp.model.handoff import HandoffSettings

_NODES_MIN: Final = 2
_NODES_MAX: Final = 4  # a packet makes a hop less than there are nodes
_VNI_MAX: Final = 2**24 - _NODES_MAX
_ADDRESSES_MAX: Final = 64
_DEFAULT: Final = HandoffSettings("", (), ())

Name = Annotated[str, BeforeValidator(values.name)]
_Address = Annotated[str, BeforeValidator(distant)]
_Addresses = Annotated[tuple[str, ...], BeforeValidator(several(distant, _ADDRESSES_MAX))]


class NodeTable(Table):
    """`[[member]]`: one node of the ring."""

    name: Name
    address: _Address


class HandoffDocument(Table):
    """The whole file."""

    node: Name
    addresses: _Addresses
    member: list[NodeTable] = Field(default_factory=list)
    vni: Annotated[int, BeforeValidator(values.whole_number(1, _VNI_MAX))] = _DEFAULT.vni
    port: Annotated[int, BeforeValidator(values.whole_number(1, 65535))] = _DEFAULT.port
    learn: Annotated[float, BeforeValidator(values.duration_s)] = _DEFAULT.learn_s

    def to_model(self) -> HandoffSettings:
        """Return the settings; members by name, so that the ring is the same whatever the order of the file."""
        members = tuple(sorted((each.name, each.address) for each in self.member))
        return HandoffSettings(self.node, self.addresses, members, self.vni, self.port, self.learn)


def load_handoff(path: Path) -> HandoffSettings:
    """Read the file. Raises ConfigurationError with every problem found."""
    return parse_document(read_text(path), str(path), HandoffDocument, handoff_rules).to_model()


def handoff_rules(data: dict[str, Any]) -> Iterator[Found]:
    """Yield what does not hold between the keys. Works on data of any shape."""
    members = list(tables_in(data, (), "member"))
    if not _NODES_MIN <= len(members) <= _NODES_MAX:
        allowed = f"allowed: {_NODES_MIN} to {_NODES_MAX}, each under [[member]]"
        yield ("member",), f"there are {len(members)} nodes; {allowed}"
    for key in ("name", "address"):
        seen: set[str] = set()
        for path, table in members:
            value = table.get(key)
            if isinstance(value, str) and value in seen:
                yield (*path, key), f"{values.shown(value)} stands here twice; each node has its own"
            seen.add(str(value))
    names = [table.get("name") for _, table in members]
    if isinstance(data.get("node"), str) and data["node"] not in names:
        yield ("node",), f"{values.shown(data['node'])} is none of the nodes under [[member]]"
    if len({":" in str(table.get("address")) for _, table in members}) > 1:
        yield ("member",), "the nodes reach each other by IPv4 and by IPv6 addresses; give them all of one kind"
    addresses = data.get("addresses")
    for path, table in members:
        if isinstance(addresses, list) and table.get("address") in addresses:
            yield (
                (*path, "address"),
                f"{values.shown(table['address'])} is one of the addresses that clients know; it moves",
            )
