"""What is in a bundle, and reading one that somebody has sent.

Responsible for the names of its parts and what each is, for checking a file, and for giving each part as it is elsewhere:
messages of the control API, a past, text. Knows nothing of how a bundle is made (`lbapp bundle`) or shown.

Invariants: a bundle may be made by anybody, so nothing of it is written to disk or believed before it was looked at; what is
there is whole and sound, or the file is refused with one sentence; a part that is not there is None.
"""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypedDict

from lbapp import __version__
from lbapp.control.changes import ActionsDone, ConfigurationKept, Difference
from lbapp.control.decisions import Decisions
from lbapp.control.fleet import FleetStatus
from lbapp.control.latency import LatencyReport
from lbapp.control.looking import Captures, Sessions
from lbapp.control.messages import Event, Status
from lbapp.control.recall import Past
from lbapp.control.shapes import check
from lbapp.control.unpacking import unpack
from lbapp.model.errors import LbappError
from lbapp.model.limits import BUNDLE_BYTES_MAX, BUNDLE_HISTORY_BYTES_MAX, BUNDLE_PART_BYTES_MAX

FOLDER: Final = "lbapp-bundle"
HISTORY: Final = "history.bin"
MANIFEST: Final = "manifest.json"
CONFIGURATION: Final = "configuration.toml"
METRICS: Final = "metrics.txt"


class Manifest(TypedDict):
    """How a bundle was made: when (Unix seconds), by which versions, what is in it and why the rest is not."""

    made_at: float
    lbapp: str
    python: str
    openssl: str
    kernel: str
    machine: str
    cpus: int
    parts: list[str]
    missing: dict[str, str]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read. None: the part is not in it, and `manifest` says why.

    `latency`: by the window that was asked for, in seconds. `configuration` is TOML with masks in place of secrets.
    """

    manifest: Manifest
    status: Status | None
    events: list[Event] | None
    changes: ActionsDone | None
    differences: list[Difference] | None
    configurations: list[ConfigurationKept] | None
    sessions: Sessions | None
    captures: Captures | None
    decisions: Decisions | None
    latency: dict[float, LatencyReport] | None
    metrics: str | None
    configuration: str | None
    past: Past | None
    fleet: FleetStatus | None = None


_MESSAGES: Final[dict[str, Any]] = {
    "status.json": Status,
    "events.json": list[Event],
    "changes.json": ActionsDone,
    "diff.json": list[Difference],
    "configurations.json": list[ConfigurationKept],
    "sessions.json": Sessions,
    "captures.json": Captures,
    "decisions.json": Decisions,
    "latency.json": dict[str, LatencyReport],
    "fleet.json": FleetStatus,
}


def too_large(name: str, content: bytes) -> str | None:
    """Return what is wrong with the size of a part; None: nothing."""
    most = BUNDLE_HISTORY_BYTES_MAX if name == HISTORY else BUNDLE_PART_BYTES_MAX
    return None if len(content) <= most else f"{name} has {len(content) >> 20} MiB; {most >> 20} are allowed"


def read_bundle(path: Path) -> Bundle:
    """Read a bundle. Raises LbappError with one sentence when it cannot be read or is none. May take a second or two."""
    try:
        return _bundle(unpack(_content(path), FOLDER, BUNDLE_BYTES_MAX))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LbappError(f"cannot read {path}: {reason}", "Name a file that lbapp bundle has written") from error
    except ValueError as error:
        raise LbappError(f"cannot read {path}: {error}", "Name a file that lbapp bundle has written") from error


def _content(path: Path) -> bytes:
    """Raises OSError, ValueError."""
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would make this wait for ever
        raise ValueError("it is no file")
    with path.open("rb") as opened:
        data = opened.read(BUNDLE_BYTES_MAX + 1)
    if len(data) > BUNDLE_BYTES_MAX:
        raise ValueError(f"it has more than {BUNDLE_BYTES_MAX >> 20} MiB")
    return data


def _bundle(parts: dict[str, bytes]) -> Bundle:
    """Raises ValueError."""
    for name, content in parts.items():
        if (problem := too_large(name, content)) is not None:
            raise ValueError(problem)
    if MANIFEST not in parts:
        raise ValueError(f"it is no bundle of lbapp: there is no {MANIFEST} in it")
    manifest: Manifest = _message(MANIFEST, parts[MANIFEST], Manifest)
    try:
        found = {name: _message(name, parts[name], kind) for name, kind in _MESSAGES.items() if name in parts}
    except ValueError as error:
        if manifest["lbapp"] == __version__:
            raise
        raise ValueError(f"{error} (lbapp {manifest['lbapp']} has written it, this is {__version__})") from error
    return Bundle(
        manifest,
        found.get("status.json"),
        found.get("events.json"),
        found.get("changes.json"),
        found.get("diff.json"),
        found.get("configurations.json"),
        found.get("sessions.json"),
        found.get("captures.json"),
        found.get("decisions.json"),
        _latency(found.get("latency.json")),
        _text(METRICS, parts),
        _text(CONFIGURATION, parts),
        _past(parts),
        found.get("fleet.json"),
    )


def _message(name: str, content: bytes, kind: Any) -> Any:
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON") from error
    check(value, kind, name)
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _latency(found: dict[str, LatencyReport] | None) -> dict[float, LatencyReport] | None:
    if found is None:
        return None
    for window in found:
        if not (window.isascii() and window.isdigit()):
            raise ValueError(f"latency.json has {window} in it, which is no number of seconds")
    return {float(window): report for window, report in found.items()}


def _text(name: str, parts: dict[str, bytes]) -> str | None:
    if name not in parts:
        return None
    try:
        text = parts[name].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is no text") from error
    check(text, str, name)
    return text


def _past(parts: dict[str, bytes]) -> Past | None:
    if HISTORY not in parts:
        return None
    try:
        return Past.in_file(parts[HISTORY])
    except ValueError as error:
        raise ValueError(f"{HISTORY}: {error}") from error
