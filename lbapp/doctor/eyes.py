"""What the user that an engine runs as may do with a path.

Responsible for asking the kernel in that user's name, and for what of the unit stands in the way beside that. Knows nothing of
what is kept in which file.

Invariant: nothing is written and nothing is made; a user that nobody can act as here is never taken for one who may.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from pathlib import Path
from typing import Final

from lbapp.doctor.unit import Unit

_TEST_TIMEOUT_S: Final = 10.0  # a file system over the network may hang


class Eyes:
    """Looks at files as the engine of a unit will; without a unit, as this process does.

    Root looks as the unit's user; anybody else can look only as itself.
    """

    def __init__(self, unit: Unit | None) -> None:
        self._unit = unit
        self._acts_as = None if unit is None or os.geteuid() != 0 or unit.user == "root" else unit.user

    @property
    def user(self) -> str:
        """Return the name of who looks."""
        return self._acts_as or _name(os.geteuid())

    def unreadable(self, path: Path) -> str:
        """Return what keeps the engine from reading a file; empty: nothing."""
        if self._unit is not None and (hides := self._unit.hides(path)):
            return f"the unit does not see it ({hides})"
        if not path.exists():
            return "is not there"
        return "" if self._may("-r", path) else f"{self.user} may not read it"

    def unwritable(self, path: Path) -> str:
        """Return what keeps the engine from writing in a folder, or from making it; empty: nothing."""
        if path.exists() and not path.is_dir():
            return "no folder"
        if self._unit is not None:
            if hides := self._unit.hides(path):
                return f"the unit does not see it ({hides})"
            if self._unit.makes(path):
                return ""  # it is given to its user at each start, whoever has it now
            if not self._unit.may_write(path):
                return "read-only to the unit (ProtectSystem=strict)"
        near = nearest(path)
        if self._may("-w", near) and self._may("-x", near):
            return ""
        return f"{self.user} may not write to it" if path.is_dir() else f"is not there and {self.user} may not make it"

    def unwritable_file(self, path: Path) -> str:
        """Return what keeps the engine from adding to a file that may be there; empty: nothing."""
        return f"{self.user} may not write to {path.name}" if path.exists() and not self._may("-w", path) else ""

    def _may(self, how: str, path: Path) -> bool:
        if self._acts_as is None:
            return os.access(path, {"-r": os.R_OK, "-w": os.W_OK, "-x": os.X_OK}[how])
        try:
            entry = pwd.getpwnam(self._acts_as)
            groups = os.getgrouplist(self._acts_as, entry.pw_gid)
            groups += [grp.getgrnam(name).gr_gid for name in (self._unit.groups if self._unit else ())]
            done = subprocess.run(
                ["test", how, str(path)],
                user=entry.pw_uid, group=entry.pw_gid, extra_groups=groups, timeout=_TEST_TIMEOUT_S, check=False,
            )  # fmt: skip
        except (KeyError, OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0


def nearest(path: Path) -> Path:
    """Return the folder itself, or the nearest one above it that is there."""
    return next(each for each in (path, *path.parents, Path("/")) if each.is_dir())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
