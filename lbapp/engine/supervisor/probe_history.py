"""The last probes of one server.

Responsible for keeping them in little memory: two arrays of numbers, and for each probe a reference to what was found, the same
object wherever the same was found. Knows nothing of what a result means. Invariants: never more than PROBES_KEPT, and the
oldest goes first; a server's probes stay through maintenance, which forgets what they add up to.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from lbapp.control.messages import ProbeDone
from lbapp.model.limits import PROBES_KEPT

_Found = tuple[bool, str, str]  # is_success, reason, layer


class ProbeHistory:
    """Probes in the order in which they ended. Times are Unix seconds, durations seconds."""

    __slots__ = ("_at", "_found", "_took")

    def __init__(self) -> None:
        self._at = array("d")
        self._took = array("f")
        self._found: list[_Found] = []

    def add(self, probe: ProbeDone) -> None:
        """Keep one more probe."""
        found: _Found = (probe["is_success"], probe["reason"], probe["layer"])
        if len(self._found) >= PROBES_KEPT:
            del self._at[0], self._took[0], self._found[0]
        self._at.append(probe["at"])
        self._took.append(probe["duration_s"])
        self._found.append(next((each for each in reversed(self._found) if each == found), found))

    def probes(self) -> list[ProbeDone]:
        """Return every probe that is kept, the latest last."""
        return [
            {"at": at, "is_success": found[0], "reason": found[1], "layer": found[2], "duration_s": round(took, 6)}
            for at, took, found in zip(self._at, self._took, self._found, strict=True)
        ]

    def known(self) -> list[list[Any]]:
        """Return the probes in few bytes of JSON, for the engine that comes after this one: runs of the same finding."""
        runs: list[list[Any]] = []
        for at, took, found in zip(self._at, self._took, self._found, strict=True):
            if not runs or runs[-1][:3] != list(found):
                runs.append([*found, []])
            runs[-1][3].append([round(at, 3), round(took, 6)])
        return runs

    def know(self, known: object) -> None:
        """Take over what an engine before, maybe of another version, has kept; what it says otherwise is passed over."""
        for run in known if isinstance(known, Sequence) and not isinstance(known, str) else ():
            match run:
                case [bool(is_success), str(reason), str(layer), list(times)]:
                    for each in times:
                        match each:
                            case [int() | float() as at, int() | float() as took]:
                                self.add(
                                    {
                                        "at": float(at),
                                        "is_success": is_success,
                                        "reason": reason,
                                        "layer": layer,
                                        "duration_s": float(took),
                                    }
                                )
