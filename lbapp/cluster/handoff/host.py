"""The ring on this host: made, taken away, looked at.

Responsible for telling the kernel by `ip`, `bridge` and `nft`, in an order that hurts no connection, and for what it says of the
ring. Knows nothing of why the ring is as it is: that is `ring`. Invariants: making the ring anew changes nothing for connections
that are there; what fails is one sentence, and what was made before it is taken away again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lbapp.cluster.handoff.ring import DEFAULT, DEVICE, LEARNING, STRICT, TABLE, Hop, Ring
from lbapp.model.errors import LbappError

_PROC: Final = Path("/proc/sys")
_COMMAND_TIMEOUT_S: Final = 20.0
_FULL: Final = 0.8  # of the connections that the kernel can track, from which on it is said


class HandoffFailed(LbappError):
    """The kernel did not do what it was told: one sentence says what."""


@dataclass(frozen=True, slots=True)
class RingStatus:
    """How the ring is here. `handed`: packets that this node handed on, by hop; `unknown`: that came to the last hop in vain.

    `is_whole`: all of it is there, as it was made. `tracked` of `tracked_max`: the connections that the kernel knows.
    `problems`: one sentence each, also where it is whole.
    """

    is_up: bool
    is_whole: bool = False
    handed: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0
    tracked: int = 0
    tracked_max: int = 0
    problems: Sequence[str] = ()


def bring_up(ring: Ring, say: Callable[[str], object] = lambda _text: None) -> None:
    """Make the ring, or make it anew. Waits while connections that are there are learned. Raises HandoffFailed."""
    _check_tools()
    is_new = not _has_rules()
    try:
        if _devices() != {hop.device for hop in ring.hops} or not _is_same(ring):
            _take_down_devices()
            for command in ring.devices():
                _run(command)
        for command in ring.ways():  # also of devices that stay: an address of another version may have come
            _run(command)
        _set(ring.settings_of_devices())
        if is_new and ring.settings.learn_s and _has_connections(ring.settings.addresses):
            _nft(ring.rules(is_learning=True))
            _set(LEARNING)
            say(f"learning the connections that are there for {ring.settings.learn_s:g} s")
            time.sleep(ring.settings.learn_s)
        _nft(ring.rules())
        _set(STRICT)
    except HandoffFailed:
        if is_new:
            with suppress(HandoffFailed):
                take_down(ring)
        raise


def take_down(ring: Ring) -> None:
    """Take the ring away, however much of it is there. Raises HandoffFailed."""
    _check_tools()
    _nft(ring.no_rules())
    _take_down_devices()
    _set({name: value for name, value in DEFAULT.items() if (_PROC / name).exists()})


def look(ring: Ring) -> RingStatus:
    """Return how the ring is. Raises HandoffFailed."""
    _check_tools()
    if not _has_rules():
        return RingStatus(is_up=False)
    handed: dict[str, int] = {}
    unknown = 0
    for family in ("ip", "ip6"):
        for name, packets in _counters(family):
            if name == "unknown":
                unknown += packets
            else:
                handed[name.removeprefix("handed")] = handed.get(name.removeprefix("handed"), 0) + packets
    tracked, most = _number("net/netfilter/nf_conntrack_count"), _number("net/netfilter/nf_conntrack_max")
    problems = _damages(ring)
    is_whole = not problems
    if most and tracked >= _FULL * most:
        problems.append(f"{tracked} of {most} connections are tracked: raise net.netfilter.nf_conntrack_max")
    return RingStatus(True, is_whole, handed, unknown, tracked, most, tuple(problems))


def _damages(ring: Ring) -> list[str]:
    """Return what of the ring is missing or is not as it was made."""
    links = _links()
    missing = [hop.device for hop in ring.hops if hop.device not in links]
    there = [(hop, links[hop.device]) for hop in ring.hops if hop.device in links]
    tables = [f"table {family} {TABLE}" for family in ring.families if not _has(family)]
    found = [f"{each} is not there" for each in (*missing, *tables)]
    found += [f"{hop.device} is down" for hop, link in there if "UP" not in link.get("flags", ())]
    found += [f"{hop.device} is that of another ring" for hop, link in there if not _is_of(ring, hop, link)]
    found = [f"{each}: make the ring anew with lbapp handoff up" for each in found]
    for name, value in {**ring.settings_of_devices(), **STRICT}.items():
        is_of_missing = any(f"/{device}/" in name for device in missing)
        if not is_of_missing and _text(name) != value:
            found.append(f"{name.replace('/', '.')} is {_text(name)}, not {value}: something else has set it")
    return found


def _check_tools() -> None:
    missing = [tool for tool in ("ip", "bridge", "nft", "ss") if shutil.which(tool, path=_path()) is None]
    if missing:
        raise HandoffFailed(f"{', '.join(missing)} is not there; on Debian: apt install iproute2 nftables")


def _path() -> str:
    return "/usr/sbin:/usr/bin:/sbin:/bin"


def _run(words: Sequence[str], text: str | None = None) -> str:
    try:
        done = subprocess.run(
            words,
            input=text,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            env={"PATH": _path(), "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HandoffFailed(f"{' '.join(words)} failed: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).partition("\n")[0]
        hint = "; it needs the right CAP_NET_ADMIN: run it as root" if "not permitted" in said else ""
        raise HandoffFailed(f"{' '.join(words)} failed: {said}{hint}")
    return done.stdout


def _nft(rules: str) -> None:
    _run(["nft", "-f", "-"], rules + "\n")


def _has_rules() -> bool:
    tables = json.loads(_run(["nft", "-j", "list", "tables"]))["nftables"]
    return any(each.get("table", {}).get("name") == TABLE for each in tables)


def _counters(family: str) -> list[tuple[str, int]]:
    found = (
        json.loads(_run(["nft", "-j", "list", "counters", "table", family, TABLE]))["nftables"] if _has(family) else []
    )
    counters = [each["counter"] for each in found if "counter" in each]
    return [(str(each["name"]), int(each["packets"])) for each in counters]


def _has(family: str) -> bool:
    tables = json.loads(_run(["nft", "-j", "list", "tables", family]))["nftables"]
    return any(each.get("table", {}).get("name") == TABLE for each in tables)


def _links() -> dict[str, dict[str, Any]]:
    """Return the devices of a ring, be it this one or one that was larger."""
    found = json.loads(_run(["ip", "-j", "-d", "link", "show", "type", "vxlan"]) or "[]")
    return {each["ifname"]: each for each in found if str(each.get("ifname")).startswith(DEVICE)}


def _devices() -> set[str]:
    return set(_links())


def _is_same(ring: Ring) -> bool:
    """Say whether the devices are those of this ring: then they stay, and nothing is felt."""
    links = _links()
    return all(_is_of(ring, hop, links.get(hop.device, {})) for hop in ring.hops)


def _is_of(ring: Ring, hop: Hop, link: Mapping[str, Any]) -> bool:
    data = link.get("linkinfo", {}).get("info_data", {})
    local = data.get("local", data.get("local6"))
    made = (data.get("id"), data.get("port"), local, link.get("address"))
    return made == (hop.vni, ring.settings.port, ring.own, hop.mac)


def _take_down_devices() -> None:
    for device in sorted(_devices()):
        _run(["ip", "link", "del", device])


def _set(settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        try:
            (_PROC / name).write_text(value)
        except OSError as error:
            raise HandoffFailed(f"{name.replace('/', '.')} cannot be set to {value}: {error.strerror}") from error


def _text(name: str) -> str:
    try:
        return (_PROC / name).read_text().strip()
    except OSError:
        return ""


def _number(name: str) -> int:
    text = _text(name)
    return int(text) if text.isdigit() else 0


def _has_connections(addresses: Sequence[str]) -> bool:
    """Say whether clients are connected to one of the addresses."""
    written = [name for each in addresses for name in ((each, f"[::ffff:{each}]") if "." in each else (f"[{each}]",))]
    return any(_run(["ss", "-Htn", "state", "established", "src", each]) for each in written)
