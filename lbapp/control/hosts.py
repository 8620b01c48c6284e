"""A fleet without a store: a list of hosts, each asked by itself.

Responsible for what such a list is, and for putting what the hosts answered together as one fleet. Knows nothing of ssh beyond
the names of hosts, and nothing of who asks. Invariants: a host that does not answer is there all the same, with the time of its
last answer and none of its figures; names are unique; nothing is made up of what no host has said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbapp.control.fleet import FleetStatus, MemberStatus
from lbapp.control.ssh import Host

Place = Host | Path  # a host, or the control socket of an engine here


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """What is known of one host. `fleet`: its last answer, at `at` (Unix seconds, 0: never); `problem`: why there is no newer."""

    place: Place
    fleet: FleetStatus | None = None
    at: float = 0.0
    problem: str = ""


def place_of(text: str) -> Place:
    """Return what ssh://[USER@]HOST[:PORT][/SOCKET], or the path of a control socket here, names. Raises ValueError."""
    return Path(text) if text.startswith("/") else Host.parse(text)


def places_in(text: str) -> list[Place]:
    """Return what the lines of a list name, without empty ones and what stands behind `#`. Raises ValueError with the line."""
    found: list[Place] = []
    for number, line in enumerate(text.splitlines(), 1):
        if wanted := line.partition("#")[0].strip():
            try:
                found.append(place_of(wanted))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    if not found:
        raise ValueError("no host is named in it: write one a line, such as ssh://lb1")
    return found


def names_of(answers: Sequence[HostAnswer]) -> list[str]:
    """Return what each host is called: its node, and the host as well where nodes are called alike."""
    said = [answer.fleet["node"] if answer.fleet else "" for answer in answers]
    often = Counter(said)
    return [
        node if node and often[node] == 1 else f"{node} {answer.place}".strip()
        for node, answer in zip(said, answers, strict=True)
    ]


def together(answers: Sequence[HostAnswer]) -> FleetStatus:
    """Return what the hosts have said as one fleet that has no store."""
    members = [_member(name, answer) for name, answer in zip(names_of(answers), answers, strict=True)]
    carried = sum(_rate(member) for member in members)
    for member in members:
        member["share"] = _rate(member) / carried if carried and member["is_alive"] else None
    return {
        "fleet": "", "node": "", "state": "off", "problem": "", "age_s": None, "members": members, "intents": [],
        "configuration": None,
    }  # fmt: skip


def silent(answers: Iterable[HostAnswer]) -> list[HostAnswer]:
    """Return the hosts that do not answer."""
    return [answer for answer in answers if answer.problem]


def _member(name: str, answer: HostAnswer) -> MemberStatus:
    own = next((each for each in answer.fleet["members"] if each["is_self"]), None) if answer.fleet else None
    if own is None:
        return {
            "name": name, "is_self": False, "is_alive": False, "seen_at": answer.at, "version": "", "started_at": 0.0,
            "host": str(answer.place), "state": None, "share": None,
        }  # fmt: skip
    return {**own, "name": name, "is_self": False, "is_alive": not answer.problem, "seen_at": answer.at, "share": None}


def _rate(member: MemberStatus) -> float:
    return member["state"]["requests_per_s"] if member["is_alive"] and member["state"] is not None else 0.0
