"""What `lbapp announce` and `lbapp dns` have told of this node's routes and records.

Responsible for checking a report, for keeping the last of each, and for how old it is. Knows nothing of routers or of DNS.

Invariants: what is kept is of the declared shape and size; a report that is too old is said to be so, and decides nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, cast

from lbapp.control.fleet import AnnounceReport, DnsReport
from lbapp.control.shapes import check
from lbapp.engine.supervisor.bodies import invalid
from lbapp.model.limits import REPORT_AGE_MAX_S, REPORT_LISTED_MAX

_LETTERS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class _Kept:
    """A report, and when it came (monotonic seconds)."""

    report: dict[str, Any]
    came_s: float


@dataclass(slots=True)
class Reports:
    """The last report of each process that has told one."""

    _announce: _Kept | None = None
    _dns: _Kept | None = None

    def take_announce(self, body: object) -> None:
        """Take in an AnnounceReport. Raises RequestRefused 422 invalid_body."""
        self._announce = _Kept(_checked(body, AnnounceReport), time.monotonic())

    def take_dns(self, body: object) -> None:
        """Take in a DnsReport. Raises RequestRefused 422 invalid_body."""
        self._dns = _Kept(_checked(body, DnsReport), time.monotonic())

    def announce(self) -> AnnounceReport | None:
        """Return the last report of routes, with its age as its problem where it is too old; None: there never was one."""
        return cast(AnnounceReport | None, _shown(self._announce, "lbapp announce"))

    def dns(self) -> DnsReport | None:
        """Return the last report of records, likewise."""
        return cast(DnsReport | None, _shown(self._dns, "lbapp dns"))

    def fresh_announce(self) -> AnnounceReport | None:
        """Return the last report of routes; None where it is too old to go by."""
        return cast(AnnounceReport | None, _fresh(self._announce))

    def fresh_dns(self) -> DnsReport | None:
        """Return the last report of records; None where it is too old to go by."""
        return cast(DnsReport | None, _fresh(self._dns))


def _checked(body: object, kind: Any) -> dict[str, Any]:
    try:
        check(body, kind, "report")
    except ValueError as error:
        raise invalid("body", str(error), f"Its fields are {', '.join(kind.__annotations__)}") from error
    report = cast(dict[str, Any], body)
    for name, value in report.items():
        if name not in kind.__annotations__:
            raise invalid("body", f"there is no field {name[:60]}", f"Its fields are {', '.join(kind.__annotations__)}")
        if isinstance(value, list) and len(value) > REPORT_LISTED_MAX:
            raise invalid("body", f"{name} has more than {REPORT_LISTED_MAX} entries", "List what this node has")
        if isinstance(value, str) and len(value) > _LETTERS_MAX:
            raise invalid("body", f"{name} has more than {_LETTERS_MAX} letters", "One sentence is enough")
    return report


def _fresh(kept: _Kept | None) -> dict[str, Any] | None:
    if kept is None or time.monotonic() - kept.came_s > REPORT_AGE_MAX_S:
        return None
    return kept.report


def _shown(kept: _Kept | None, who: str) -> dict[str, Any] | None:
    if kept is None or _fresh(kept) is not None:
        return None if kept is None else kept.report
    age_s = time.monotonic() - kept.came_s
    return {**kept.report, "problem": f"{who} has said nothing for {age_s:.0f} s: this is what it said last"}
