"""Words about the nodes of a fleet that the command line and the console say alike.

Responsible for what is made of several fields of a member, of a view or of what came of an action. Knows nothing of terminals,
of the store or of how a fleet is asked. Invariants: what is not known is `-`, never 0 and never "ready"; a view that is old
says so in capitals; rates are added up over nodes, percentiles never are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lbapp.control.fleet import Applied, FleetConfigurationStatus, FleetStatus, MemberState, MemberStatus
from lbapp.control.messages import DrainStep, NodeDrainStatus

Duration = Callable[[float], str]

CLOCK_OFF_S: Final = 3.0  # a state is up to two seconds old when it is written anew: a smaller difference says nothing
# What becomes of established connections when a route moves, by what the operator has said of his routers.
ENDINGS: Final = {
    "plain": "established connections END when routes leave: some of other nodes, too",
    "resilient": "established connections stay until the route goes; of other nodes none ends",
    "handoff": "established connections stay",
    "single": "established connections END: the address moves to another node",
}

STEPS: Final[dict[DrainStep, str]] = {
    "dns": "its records leave DNS",
    "clients": "clients are asked to leave",
    "routes": "routes lead elsewhere",
    "serving": "who is left is served",
    "drained": "drained",
}


@dataclass(frozen=True, slots=True)
class Totals:
    """What all nodes that live carry together. None: no node has said it. `error_rate` is weighted by their requests."""

    nodes: int
    ready: int
    connections: int | None
    in_flight: int | None
    requests_per_s: float | None
    error_rate: float | None


def is_alone(fleet: FleetStatus | None) -> bool:
    """Say whether a node has no fleet, as far as is known."""
    return fleet is None or not fleet["fleet"]


def living(members: Iterable[MemberStatus]) -> list[MemberStatus]:
    """Return the members whose lease lives."""
    return [member for member in members if member["is_alive"]]


def names_of(members: Iterable[MemberStatus]) -> list[str]:
    """Return the names of the members that live."""
    return [member["name"] for member in living(members)]


def is_ready(member: MemberStatus) -> bool:
    """Say whether a node lives and should get new clients."""
    return member["is_alive"] and member["state"] is not None and member["state"]["ready"]


def totals(members: Sequence[MemberStatus]) -> Totals:
    """Return what the nodes that live carry."""
    alive = living(members)
    states = [member["state"] for member in alive if member["state"] is not None]
    rate = sum(state["requests_per_s"] for state in states)
    failed = sum((state["error_rate"] or 0.0) * state["requests_per_s"] for state in states)
    return Totals(
        len(members),
        sum(map(is_ready, members)),
        sum(state["connections"] for state in states) if states else None,
        sum(state["in_flight"] for state in states) if states else None,
        rate if states else None,
        failed / rate if rate else None,
    )


def nodes_ready(fleet: FleetStatus) -> str:
    """Return how many of the nodes are ready."""
    found = totals(fleet["members"])
    return f"{found.ready} of {found.nodes} nodes ready"


def view_word(fleet: FleetStatus, duration: Duration) -> str:
    """Return how it stands with the store, in a word, with the age of a view that is old."""
    age = "" if fleet["age_s"] is None else f" {duration(fleet['age_s'])}"
    if fleet["state"] == "stale":
        return f"STORE STALE{age}"
    if fleet["state"] == "starting":
        return f"STORE NOT REACHED YET{f', view{age} old' if age else ''}"
    return "synced" if fleet["state"] == "synced" else "no store"


def view_sentence(fleet: FleetStatus, duration: Duration) -> str:
    """Return why a view is not synced, and how old it is; of one that is what is wrong all the same; empty: nothing is."""
    if fleet["state"] in ("off", "synced"):
        return fleet["problem"]
    age = "there is no view yet" if fleet["age_s"] is None else f"the view is {duration(fleet['age_s'])} old, and holds"
    return f"{fleet['problem'] or 'the store does not answer'}; {age}"


def state_word(member: MemberStatus, duration: Duration) -> str:
    """Return how a node is, in at most a few words."""
    state = member["state"]
    if not member["is_alive"]:
        return "GONE"
    if state is None:
        return "-"
    if state["drain"] is not None:
        drain = state["drain"]
        left = f" {duration(drain['remaining_s'])}" if drain["phase"] == "draining" else ""
        return f"{'DRAIN' if drain['phase'] == 'draining' else drain['phase'].upper()}{left}"
    if state["phase"] != "serving":
        return state["phase"]
    return "ready" if state["ready"] else "NOT READY"


def routes_word(state: MemberState | None) -> str:
    """Return what has become of a node's addresses, with its sessions that are up."""
    report = state["announce"] if state else None
    if report is None:
        return "-"
    up = sum(session["is_up"] for session in report["sessions"])
    sessions = f" {up}/{len(report['sessions'])}" if report["sessions"] else ""
    med = f" med {report['med']}" if report["state"] == "drained" and report["med"] is not None else ""
    word = report["state"].upper() if report["state"] == "failed" else report["state"]
    return f"{word}{med}{sessions}"


def are_routes_well(state: MemberState | None) -> bool:
    """Say whether nothing is wrong with a node's routes: none failed, no session is down, BFD included."""
    report = state["announce"] if state else None
    if report is None:
        return True
    return report["state"] != "failed" and not report["problem"] and all(one["is_up"] for one in report["sessions"])


def dns_word(state: MemberState | None) -> str:
    """Return what has become of a node's records."""
    report = state["dns"] if state else None
    if report is None:
        return "-"
    return report["state"].upper() if report["state"] == "failed" else report["state"]


def configuration_word(fleet: FleetStatus, member: MemberStatus) -> str:
    """Return the number that a node serves by: the fleet's as `f7`, its own as `7`; `!` where it is not what it should be."""
    state = member["state"]
    if state is None or not member["is_alive"]:
        return "-"
    number = f"f{state['fleet_configuration']}" if state["fleet_configuration"] else str(state["configuration"])
    return f"{number}!" if is_configuration_wrong(fleet, member) else number


def is_configuration_wrong(fleet: FleetStatus, member: MemberStatus) -> bool:
    """Say whether a node could not serve by the fleet's configuration, or does not though it may already."""
    wanted, state = fleet["configuration"], member["state"]
    if wanted is None or state is None or not wanted["number"] or not member["is_alive"]:
        return False
    if wanted["results"].get(member["name"]):
        return True
    return is_reached(wanted, member["name"]) and state["fleet_configuration"] != wanted["number"]


def is_reached(wanted: FleetConfigurationStatus, name: str) -> bool:
    """Say whether a node may serve by a configuration of the fleet already."""
    return wanted["mode"] == "all" or name in wanted["order"][: wanted["reached"]]


def roll_word(wanted: FleetConfigurationStatus | None, names: Sequence[str]) -> str:
    """Return what came of the fleet's configuration. `names`: of the nodes that live."""
    if wanted is None or not wanted["number"]:
        return "no configuration of the fleet"
    served = [name for name in names if wanted["results"].get(name) == ""]
    refused = [name for name, why in wanted["results"].items() if why]
    words = f"configuration f{wanted['number']} on {len(served)} of {len(names)}"
    if refused:
        words += f", REFUSED by {', '.join(refused)}"
    if wanted["stopped"]:
        return f"{words}, roll STOPPED: {wanted['stopped']}"
    waiting = [name for name in wanted["order"][wanted["reached"] :] if name in names]
    if wanted["mode"] == "rolling" and (waiting or len(served) < len(names)):
        return f"{words}, rolling: {', '.join(waiting)} to come" if waiting else f"{words}, rolling"
    return words


def is_roll_over(wanted: FleetConfigurationStatus, names: Sequence[str]) -> bool:
    """Say whether nothing is to be waited for any more: all nodes that live have said what came of it, or a roll has stopped."""
    return bool(wanted["stopped"]) or all(name in wanted["results"] for name in names)


def came_of(fleet: FleetStatus, applied: Applied) -> Applied | None:
    """Return which of the nodes that live now have made an action of the fleet; None: it is not known who lives now."""
    if fleet["state"] != "synced":
        return None
    have = {member["name"]: _revision(member) >= applied["revision"] for member in living(fleet["members"])}
    done, waiting = [name for name in have if have[name]], [name for name in have if not have[name]]
    return {**applied, "done": done, "waiting": waiting}


def _revision(member: MemberStatus) -> int:
    return member["state"].get("fleet_revision", 0) if member["state"] is not None else 0


def applied_word(applied: Applied) -> str:
    """Return which nodes have made an action of the fleet, and which have not said so yet."""
    if not applied["waiting"]:
        return f"on all nodes that live: {', '.join(applied['done'])}"
    have = "has" if len(applied["done"]) == 1 else "have"
    told = f"{', '.join(applied['done'])} {have} it; " if applied["done"] else ""
    return f"{told}not yet said by {', '.join(applied['waiting'])}"


def step_word(drain: NodeDrainStatus, now: float, duration: Duration) -> str:
    """Return the step that the drain of a node is in, what it waits for, and until when; empty where there are no steps."""
    step = drain.get("step")
    if step is None:
        return ""
    words = f"step {list(STEPS).index(step) + 1} of {len(STEPS)}: {STEPS[step]}"
    if why := drain.get("step_why", ""):
        words += f"; {why}"
    until = drain.get("step_until")
    return words if until is None else f"{words}, {duration(max(0.0, until - now))} at most"


def clock_word(member: MemberStatus) -> str:
    """Return how far a node's clock is from that of the node that was asked: `ok` within what a look tells, `self`, `-`."""
    if member["is_self"]:
        return "self"
    state = member["state"]
    if state is None or not member["seen_at"] or not member["is_alive"]:
        return "-"
    off = state["at"] - member["seen_at"]
    return "ok" if abs(off) < CLOCK_OFF_S else f"{off:+.0f}s"


def seen_word(member: MemberStatus, now: float, duration: Duration) -> str:
    """Return how long ago anything came of a node. `now` by the clock of the node that was asked."""
    if member["is_self"]:
        return "self"
    return duration(max(0.0, now - member["seen_at"])) if member["seen_at"] else "-"


def ending(state: MemberState | None) -> str:
    """Return where established connections end when a node leaves its routes; what is not known is said."""
    report = state["announce"] if state else None
    if report is None:
        return "nothing is known of its routes: established connections end where they move to"
    return ENDINGS.get(report["ecmp"], ENDINGS["plain"])
