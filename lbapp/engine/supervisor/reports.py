"""What `lbapp announce` and `lbapp dns` have told of this node's routes and records.

Responsible for checking a report, for keeping the last of each, and for how old it is. Knows nothing of routers or of DNS.

Invariants: what is kept is of the declared shape and size; a report that is too old is said to be so, and decides nothing; those
of an engine before count like new ones, until they would have been told anew.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final, cast

from lbapp.control.fleet import AnnounceReport, DnsReport
from lbapp.control.shapes import check
from lbapp.engine.policy.node_steps import Records, Routes
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import REPORT_AGE_MAX_S, REPORT_LISTED_MAX

_LETTERS_MAX: Final = 500
_ENDING: Final = ("plain", "single")  # established connections end when a route leaves


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

    def known(self) -> dict[str, Any]:
        """Return the last reports, for the engine after this one."""
        return {
            name: kept.report for name, kept in (("announce", self._announce), ("dns", self._dns)) if kept is not None
        }

    def know(self, known: object) -> None:
        """Take over what an engine before was told. It counts from now: who told it could tell it to nobody in between."""
        for name, take in (("announce", self.take_announce), ("dns", self.take_dns)):
            if isinstance(known, dict) and name in known:
                with contextlib.suppress(RequestRefused):  # of a version that has other words
                    take(known[name])

    def ages_s(self) -> dict[str, float]:
        """Return how old the last report is of each process that has ever told one."""
        kept = {"announce": self._announce, "dns": self._dns}
        return {who: time.monotonic() - each.came_s for who, each in kept.items() if each is not None}

    def announce(self) -> AnnounceReport | None:
        """Return the last report of routes, with its age as its problem where it is too old; None: there never was one."""
        return cast(AnnounceReport | None, _shown(self._announce, "lbapp announce"))

    def dns(self) -> DnsReport | None:
        """Return the last report of records, likewise."""
        return cast(DnsReport | None, _shown(self._dns, "lbapp dns"))

    def routes(self) -> Routes | None:
        """Return how it stands with this node's routes; None where nothing is told, or nothing of late."""
        report = _fresh(self._announce)
        if report is None:
            return None
        # A backend that lists no session may go on with what it was told last; with sessions, none of them is up.
        is_unknown = report["state"] == "failed" and not report["sessions"]
        return Routes(report["state"] == "announced" or is_unknown, report["ecmp"] in _ENDING)

    def records(self, now: float) -> Records | None:
        """Return how it stands with this node's records at `now` (Unix seconds), likewise."""
        report = _fresh(self._dns)
        if report is None:
            return None
        # One that failed, or has only just started, may have left what an earlier one has put in. The server has said otherwise
        # only where it was asked, and gave records without this node's own.
        has_asked = report["state"] == "failed" and bool(report["records"])
        are_out = has_asked and not {*report["own"]} & {*report["records"]}
        are_in = report["left_at"] is None and report["state"] != "withdrawn" and not are_out
        gone_at = report["gone_at"]
        return Records(are_in, 0.0 if gone_at is None else max(0.0, gone_at - now), report["ttl_s"])


def _checked(body: object, kind: Any) -> dict[str, Any]:
    try:
        check(body, kind, "report")
    except ValueError as error:
        raise _invalid(str(error), f"Its fields are {', '.join(kind.__annotations__)}") from error
    report = cast(dict[str, Any], body)
    for name, value in report.items():
        if name not in kind.__annotations__:
            raise _invalid(f"there is no field {name[:60]}", f"Its fields are {', '.join(kind.__annotations__)}")
        if isinstance(value, list) and len(value) > REPORT_LISTED_MAX:
            raise _invalid(f"{name} has more than {REPORT_LISTED_MAX} entries", "List what this node has")
        if isinstance(value, str) and len(value) > _LETTERS_MAX:
            raise _invalid(f"{name} has more than {_LETTERS_MAX} letters", "One sentence is enough")
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


def _invalid(message: str, hint: str) -> RequestRefused:
    return RequestRefused("invalid_body", message, hint, 422)
