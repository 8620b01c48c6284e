"""What ExaBGP is told: its configuration, its environment, its commands; and what it says.

Responsible for these texts. Knows nothing of processes or sockets. The grammar is ExaBGP's, version 5.

Invariants: a helper that died is started again (`respawn` stands nowhere, and is true by default): without one, a route would
stay for ever; the log has warnings and errors alone, and no line for a keepalive.
"""

from __future__ import annotations

import json
from typing import Any, Final

from lbapp.cluster.announce.decision import RouteState
from lbapp.control.fleet import SessionReport
from lbapp.model.announce import AnnounceSettings, Neighbor

SOCKET_VARIABLE: Final = "LBAPP_ANNOUNCE_SOCKET"
ENVIRONMENT: Final = {
    "exabgp_daemon_daemonize": "false",
    "exabgp_api_cli": "false",
    "exabgp_api_ack": "true",
    "exabgp_log_destination": "stderr",
    "exabgp_log_level": "WARNING",
    "exabgp_log_short": "true",
}


def exabgp_text(settings: AnnounceSettings, helper: str) -> str:
    """Return the configuration. `helper`: the command that ExaBGP runs."""
    assert settings.bgp is not None
    parts = [f"process lbapp {{\n  run {helper};\n  encoder json;\n}}\n"]
    for each in settings.bgp.neighbors:
        families = " ".join(f"ipv{version} unicast;" for version in sorted(_versions(settings, each)))
        parts += [
            f"neighbor {each.address} {{\n"
            f"  router-id {settings.bgp.router_id};\n  local-address {each.local_address};\n"
            f"  local-as {settings.bgp.asn};\n  peer-as {each.asn};\n  hold-time {settings.bgp.hold_time_s};\n"
            f"  family {{ {families} }}\n  api {{ processes [ lbapp ]; neighbor-changes; }}\n}}\n"
        ]
    return "\n".join(parts)


def commands(settings: AnnounceSettings, state: RouteState) -> list[str]:
    """Return the commands that have a state hold, whatever held before."""
    assert settings.bgp is not None
    lines = []
    for neighbor in settings.bgp.neighbors:
        versions = _versions(settings, neighbor)
        for address in settings.addresses:
            is_ipv6 = ":" in address
            if (6 if is_ipv6 else 4) not in versions:
                continue
            next_hop = neighbor.next_hop_ipv6 if is_ipv6 and neighbor.next_hop_ipv6 else "self"
            route = f"{address}/{128 if is_ipv6 else 32} next-hop {next_hop}"
            word = "withdraw" if state is RouteState.WITHDRAWN else "announce"
            med = f" med {settings.med}" if state is RouteState.DRAINED else ""
            lines.append(f"neighbor {neighbor.address} {word} route {route}{med}")
    return lines


def _versions(settings: AnnounceSettings, neighbor: Neighbor) -> set[int]:
    """Return the families that a session carries, of those that the addresses have."""
    wanted = {6 if ":" in address else 4 for address in settings.addresses}
    if ":" in neighbor.address:
        return wanted & {6}
    return wanted & ({4, 6} if neighbor.next_hop_ipv6 else {4})


class Sessions:
    """The sessions as ExaBGP tells of them, one JSON object a line."""

    def __init__(self, settings: AnnounceSettings) -> None:
        assert settings.bgp is not None
        self._rows: dict[str, SessionReport] = {
            each.address: {"name": each.address, "state": "down", "is_up": False, "since": "", "bfd": ""}
            for each in settings.bgp.neighbors
        }

    @property
    def rows(self) -> tuple[SessionReport, ...]:
        """All of them, in the order of the file."""
        return tuple(self._rows.values())

    def take(self, line: str, at: str) -> None:
        """Take in a line; what is no news of a session is passed over. `at`: the time, as it is shown."""
        address, state = _state_in(line)
        if address in self._rows:
            self._rows[address] = {"name": address, "state": state, "is_up": state == "up", "since": at, "bfd": ""}


def _state_in(line: str) -> tuple[str, str]:
    try:
        message: Any = json.loads(line)
        neighbor = message["neighbor"]
        return str(neighbor["address"]["peer"]), str(neighbor["state"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def is_done(line: str) -> bool | None:
    """Say whether a command was done; None: the line answers none."""
    return {"done": True, "error": False}.get(line)
