"""`lbapp bundle FILE`: one file for a bug report.

Responsible for what goes into it, and for saying what is missing. Knows nothing of what it means. Invariants: no secret of the
configuration goes in, nor the query of a request; what cannot be had is named in the manifest and keeps nothing else out; an
existing file is never overwritten, and a new one is for its owner alone.
"""

from __future__ import annotations

import io
import json
import os
import platform
import ssl
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from lbapp import __version__
from lbapp.cli.context import Settings, reporting, say, socket_option, source_option
from lbapp.cli.past import history_in
from lbapp.control import calls
from lbapp.control.bundle import CONFIGURATION, FOLDER, HISTORY, MANIFEST, METRICS, Manifest, too_large
from lbapp.control.client import ControlClient
from lbapp.control.looking import Sessions
from lbapp.control.paths import default_state_dir
from lbapp.model.errors import EngineUnreachable, LbappError
from lbapp.model.limits import (
    DECISIONS_LISTED_MAX,
    EVENTS_MAX,
    LATENCY_WINDOWS_S,
    SESSIONS_LISTED_MAX,
)

_CHANGES: Final = 1_000
_MODE: Final = 0o600


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="The configuration, where no engine names its own."
)
@source_option
@socket_option
@click.pass_obj
def bundle(settings: Settings, file: Path, config: Path | None, source: Path | None) -> None:
    """Write one file (.tar.gz) for a bug report: configuration without secrets, status, events, history, versions."""
    with reporting():
        parts, missing = _collect(settings.socket_path, config, source)
        parts[MANIFEST] = _json(_manifest(sorted(parts), missing))
        try:
            _write(file, parts)
        except OSError as error:
            raise LbappError(
                f"cannot write {file}: {(error.strerror or str(error)).lower()}", "Name another"
            ) from error
        say(f"{file}: {', '.join(sorted(parts))}")
        for part, why in missing.items():
            say(f"missing: {part}: {why}")


def _collect(socket: Path, config: Path | None, source: Path | None) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the parts by name, and why others are missing."""
    parts: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    with ControlClient(socket) as client:
        for name, ask in _questions(client):
            try:
                parts[name] = ask()
            except LbappError as error:
                missing[name] = str(error)
        try:
            parts[HISTORY] = _history(client, source)
        except LbappError as error:
            missing[HISTORY] = str(error)
    if config is None and "status.json" in parts:
        config = Path(json.loads(parts["status.json"])["engine"]["configuration_path"])
    try:
        parts[CONFIGURATION] = _configuration(config)
    except (OSError, ValueError) as error:
        missing[CONFIGURATION] = str(error)
    for name, content in list(parts.items()):
        if (problem := too_large(name, content)) is not None:  # nobody could read the bundle
            del parts[name]
            missing[name] = problem
    return parts, missing


def _questions(client: ControlClient) -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "status.json", lambda: _json(client.status())
    yield "events.json", lambda: _json(client.events(limit=EVENTS_MAX))
    yield "changes.json", lambda: _json(client.changes(_CHANGES))
    yield "diff.json", lambda: _json(client.differences())
    yield "configurations.json", lambda: _json(client.configurations())
    yield "sessions.json", lambda: _json(_without_queries(client.sessions(SESSIONS_LISTED_MAX)))
    yield "captures.json", lambda: _json(client.captures())
    yield "decisions.json", lambda: _json(client.decisions({"limit": str(DECISIONS_LISTED_MAX)}))
    yield "latency.json", lambda: _json({f"{each:g}": client.latency(each, None) for each in LATENCY_WINDOWS_S})
    yield "fleet.json", lambda: _json(client.ask(calls.fleet()))
    yield METRICS, lambda: client.metrics().encode()


def _history(client: ControlClient, source: Path | None) -> bytes:
    """Return the history as the engine has it; without one, as the last one has left it. Raises LbappError."""
    try:
        return client.history_file()
    except EngineUnreachable as error:
        file = source or default_state_dir()
        try:
            if file.is_dir() or source is None:
                file = history_in(file)
            return file.read_bytes()
        except OSError as unreadable:
            reason = (unreadable.strerror or str(unreadable)).lower()
            raise LbappError(f"{error.message}, and {file} cannot be read: {reason}") from error


def _without_queries(found: Sessions) -> Sessions:
    for each in found["sessions"]:
        if each["target"] is not None:
            each["target"] = each["target"].partition("?")[0]
    return found


def _configuration(path: Path | None) -> bytes:
    """Raises OSError, ValueError."""
    from lbapp.config.masking import without_secrets

    if path is None:
        raise ValueError("no engine says which it is; name it with -c FILE")
    return without_secrets(path.read_text("utf-8")).encode()


def _manifest(parts: list[str], missing: dict[str, str]) -> Manifest:
    return {
        "made_at": time.time(),
        "lbapp": __version__,
        "python": sys.version,
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "parts": parts,
        "missing": missing,
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _write(file: Path, parts: dict[str, bytes]) -> None:
    """Raises OSError, and leaves no part of a file behind then."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in sorted(parts.items()):
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size, member.mtime, member.mode = len(content), int(time.time()), _MODE
            archive.addfile(member, io.BytesIO(content))
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(fd, "wb") as opened:
            opened.write(packed.getvalue())
    except OSError:
        file.unlink(missing_ok=True)
        raise
