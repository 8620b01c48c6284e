"""What systemd gives an engine: its unit, with what is dropped in.

Responsible for reading the files of `lbapp.service`, and for what of this machine an engine of the unit may read, write and
listen on. Knows nothing of what a configuration needs.

Invariants: only files are read, so that it is the same whether or not systemd runs; what is not said in them is as systemd has it
by default (systemd.exec(5)).
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = "lbapp.service"
# Those that come first have the last word (systemd.unit(5)); a drop-in stands above every unit file.
_FOLDERS: Final = tuple(
    map(Path, ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system"))
)
_FILES: Final = 524288  # DefaultLimitNOFILE of systemd, the hard one
_UNLIMITED: Final = 1 << 62
_MADE: Final = {"RuntimeDirectory": "/run", "StateDirectory": "/var/lib", "LogsDirectory": "/var/log"}
_LOW_PORTS: Final = "CAP_NET_BIND_SERVICE"
_ON: Final = ("yes", "true", "on", "1")


@dataclass(frozen=True, slots=True)
class Unit:
    """What the unit gives, to an engine of its own.

    `file`: of the engine's configuration, empty: it is not said; `groups`: those beside its user's own; `files_max`: how many may
    be open; `made`: folders that systemd makes for its user; `writable`: what may be written to beside those, None: whatever its
    user may; `hidden`: folders that it does not see, each with the setting that hides it; `has_low_ports`: whether it may listen
    on ports below 1024.
    """

    file: str
    user: str
    groups: tuple[str, ...]
    files_max: int
    made: tuple[Path, ...]
    writable: tuple[Path, ...] | None
    hidden: tuple[tuple[Path, str], ...]
    has_low_ports: bool

    @property
    def control_socket(self) -> Path | None:
        """Return where the engine has its control socket, unless its file says otherwise; None: as every command has it."""
        return next((folder / "control.sock" for folder in self.made if folder.is_relative_to("/run")), None)

    @property
    def state_dir(self) -> Path | None:
        """Return where the engine keeps its state, unless its file says otherwise; None: as every command has it."""
        return next((folder for folder in self.made if folder.is_relative_to("/var/lib")), None)

    def makes(self, path: Path) -> bool:
        """Say whether a path is in a folder that is made for the unit."""
        return any(path.is_relative_to(folder) for folder in self.made)

    def may_write(self, path: Path) -> bool:
        """Say whether the unit lets its user write there, as far as that one may."""
        return self.writable is None or self.makes(path) or any(map(path.is_relative_to, self.writable))

    def hides(self, path: Path) -> str:
        """Return the setting that hides a path from the unit; empty: none does."""
        return next((by for folder, by in self.hidden if path.is_relative_to(folder)), "")


def read_unit(folders: Sequence[Path] = _FOLDERS) -> Unit | None:
    """Return what the unit says; None: there is none, or it cannot be read."""
    unit = next((folder / _NAME for folder in folders if (folder / _NAME).is_file()), None)
    if unit is None:
        return None
    dropped = {path.name: path for folder in reversed(folders) for path in (folder / f"{_NAME}.d").glob("*.conf")}
    found: dict[str, list[str]] = {}
    try:
        for path in (unit, *(dropped[name] for name in sorted(dropped))):
            for key, words in _settings(path.read_text(errors="replace")):
                # An empty one takes back what was before; those that are no list have their last word counted.
                found[key] = [*found.get(key, []), *words] if words else []
    except OSError:
        return None
    return _unit(found)


def _settings(text: str) -> Iterator[tuple[str, list[str]]]:
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = line.strip()
        elif section == "[Service]" and "=" in line and line[0] not in "#;":
            key, _, value = line.partition("=")
            yield key.strip(), value.split()


def _unit(found: dict[str, list[str]]) -> Unit:
    def last(key: str, otherwise: str = "") -> str:
        return (found.get(key) or [otherwise])[-1]

    file = _file_of(" ".join(found.get("ExecStart", [])))
    user = last("User", "root")
    made = tuple(Path(above, name) for key, above in _MADE.items() for name in found.get(key, []))
    given = [word.lstrip("-+") for word in found.get("ReadWritePaths", [])]
    # Fewer words than `strict` close less than it does: /usr, /boot and /etc.
    writable = tuple(map(Path, given)) if last("ProtectSystem") == "strict" else None
    bounding = found.get("CapabilityBoundingSet")
    given_up = bounding is not None and _LOW_PORTS not in bounding
    has_low_ports = not given_up if user == "root" else _LOW_PORTS in found.get("AmbientCapabilities", [])
    files = last("LimitNOFILE", str(_FILES)).rpartition(":")[2]
    files_max = _UNLIMITED if files == "infinity" else int(files) if files.isdigit() else _FILES
    groups = tuple(found.get("SupplementaryGroups", []))
    return Unit(file, user, groups, files_max, made, writable, tuple(_hidden(last)), has_low_ports)


def _file_of(command: str) -> str:
    """Return the file behind `-c` of a command; empty: it names none."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    after = dict(itertools.pairwise(words))
    return after.get("-c") or after.get("--config") or ""


def _hidden(last: Callable[[str], str]) -> Iterator[tuple[Path, str]]:
    if last("ProtectHome") in (*_ON, "tmpfs"):
        for folder in ("/home", "/root", "/run/user"):
            yield Path(folder), f"ProtectHome={last('ProtectHome')}"
    if last("PrivateTmp") in _ON:
        for folder in ("/tmp", "/var/tmp"):
            yield Path(folder), f"PrivateTmp={last('PrivateTmp')}"
