"""The first configuration of an operator, from a few answers.

Responsible for reading each answer, and for a commented text of what they make. Knows nothing of who asks.

Invariant: answers that were read make a text that `lbapp check` accepts; one that cannot be used is refused with what can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lbapp.config import values
from lbapp.config.health import target

_HEAD: Final = """# The configuration of lbapp, made by `lbapp init`. Every key there is, with its default:
# conf/lbapp.reference.toml and docs/configuration.md. After a change: lbapp check FILE, then lbapp reload.
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked for. `check`: a path that healthy servers answer; empty: a TCP connection is enough."""

    listen: tuple[str, ...]
    servers: tuple[tuple[str, str], ...]  # (name, address)
    protocol: str = "http"
    algorithm: str = "least_connections"
    check: str = ""


def listen_address(text: str) -> str:
    """Return the address to accept on of `8080`, `:8080`, `host:port` or `unix:/path`. Raises ValueError."""
    port = text.removeprefix(":")
    address = f"0.0.0.0:{port}" if port.isdigit() else text
    values.bind(address)
    return address


def server(text: str) -> tuple[str, str]:
    """Return (name, address) of `[NAME=]ADDRESS`; the name is empty where none is given. Raises ValueError."""
    name, equals, address = text.rpartition("=")
    values.server_address(address)
    if equals:
        values.name(name)
    return name, address


def named(servers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return servers that all have a name: s1, s2 and so on, where none was given. Raises ValueError for one given twice."""
    given = [name for name, _ in servers if name]
    for name in given:
        if given.count(name) > 1:
            raise ValueError(f"the name {values.quoted(name)} is given to two servers; choose another")
    free = (f"s{number}" for number in range(1, 2 * len(servers) + 1) if f"s{number}" not in given)
    return tuple((name or next(free), address) for name, address in servers)


def check_path(text: str) -> str:
    """Return the path that probes ask for. Raises ValueError."""
    return target(text)


def first_configuration(answers: Answers) -> str:
    """Return the text of a configuration."""
    binds = ", ".join(f'"{each}"' for each in answers.listen)
    health = f'type = "http"\npath = "{answers.check}"' if answers.check else 'type = "tcp"'
    says = (
        "asked for at every server; 200 to 399 is healthy"
        if answers.check
        else "a server that can be connected to is healthy"
    )
    parts = [
        _HEAD,
        f"""[[listener]]                       # where clients come
name = "main"
bind = {f"[{binds}]" if len(answers.listen) > 1 else binds}
protocol = "{answers.protocol}"
pool = "app"
""",
        f"""[[pool]]                           # servers that stand in for each other
name = "app"
algorithm = "{answers.algorithm}"

[pool.health_check]                # {says}
{health}
interval = "5s"                    # between two probes; after 3 failures in a row a server is DOWN, after 2 successes UP again
""",
    ]
    parts += [
        f"""[[pool.server]]
name = "{name}"
address = "{address}"
weight = 100                       # 0 to 256: its share beside the others
"""
        for name, address in answers.servers
    ]
    return "\n".join(parts)
