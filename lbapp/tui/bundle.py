"""A bundle as a source of figures: what somebody has sent in for a bug report.

Responsible for which call is answered by which part. Knows nothing of how a bundle is read or shown. Invariants: those of `kept`;
what is not in it is refused with the reason that its manifest gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lbapp.control import calls
from lbapp.control.bundle import HISTORY, Bundle
from lbapp.control.changes import ConfigurationFile
from lbapp.control.decisions import Decisions
from lbapp.control.latency import LatencyReport
from lbapp.control.messages import Status
from lbapp.control.recall import Past
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.format import clean
from lbapp.tui.kept import Answering, Kept, kept_history, trends_until
from lbapp.tui.staging import clean_event, clean_value, scene_of

Query = Mapping[str, str | int]
_PARTS: Final = {
    "/v1/status": "status.json",
    "/v1/events": "events.json",
    "/v1/changes": "changes.json",
    "/v1/diff": "diff.json",
    "/v1/configurations": "configurations.json",
    "/v1/sessions": "sessions.json",
    "/v1/captures": "captures.json",
    "/v1/decisions": "decisions.json",
    "/v1/latency": "latency.json",
    "/v1/history": HISTORY,
}


def kept_bundle(name: str, found: Bundle) -> Kept:
    """Return what a bundle holds, as its status says, or as its history ended. Raises LbappError when it has neither."""
    reasons = clean_value(found.manifest["missing"])
    why = {path: reasons[part] for path, part in _PARTS.items() if part in reasons}
    if found.status is not None:
        engine = found.status["engine"]
        kept = Kept("bundle", name, found.status["at"], scene_of(found.status), clean(engine["node"]), past=found.past)
        kept.answers = _of_status(found.status)
        kept.trends = trends_until(found.past, kept.at)
    else:
        kept = _of_past(name, found.past, why.get("/v1/status", ""))
    kept.why_not = why
    kept.events = [clean_event(event) for event in found.events or ()]
    kept.answers = {**kept.answers, **_answers(found)}
    return kept


def _of_past(name: str, past: Past | None, why: str) -> Kept:
    if past is None:
        raise LbappError(f"{name} has neither a status nor a history: there is nothing to show", why)
    kept = kept_history(name, past)
    kept.kind = "bundle"
    return kept


def _of_status(status: Status) -> dict[str, Answering]:
    servers = [server for pool in status["pools"] for server in pool["servers"]]
    whole: dict[str, Any] = {"/v1/status": status, "/v1/pools": {"pools": status["pools"]}}
    whole |= {calls.server_path(server["id"]): server for server in servers}
    return {path: _always(value) for path, value in whole.items()}


def _answers(found: Bundle) -> dict[str, Answering]:
    whole: dict[str, Any] = {
        "/v1/events": None if found.events is None else {"events": found.events},
        "/v1/changes": found.changes,
        "/v1/diff": None if found.differences is None else {"differences": found.differences, "file": ""},
        "/v1/configurations": None if found.configurations is None else {"configurations": found.configurations},
        "/v1/configuration": _configuration(found),
        "/v1/sessions": found.sessions,
        "/v1/captures": found.captures,
    }
    answers = {path: _always(value) for path, value in whole.items() if value is not None}
    if (decisions := found.decisions) is not None:
        answers["/v1/decisions"] = lambda query: _decisions(decisions, query)
    if (latency := found.latency) is not None:
        answers["/v1/latency"] = lambda query: _latency(latency, query)
    return answers


def _configuration(found: Bundle) -> ConfigurationFile | None:
    """Return the configuration that was packed, its secrets starred; it is all that is known of file and engine."""
    text = found.configuration
    if text is None:
        return None
    engine = found.status["engine"] if found.status else None
    return {
        "path": engine["configuration_path"] if engine else "lbapp.toml",
        "text": text,
        "digest": None,
        "problem": "",
        "running_text": text,
        "running_number": engine["configuration"] if engine else 0,
        "is_file_other_than_running": False,
        "why_other": "",
    }


def _always(value: object) -> Answering:
    return lambda _query: value


def _decisions(found: Decisions, query: Query) -> Decisions:
    wanted = {name: query[name] for name in ("pool", "client") if name in query}
    chosen = [each for each in found["decisions"] if all(each.get(name) == value for name, value in wanted.items())]
    return {"decisions": chosen[-int(query.get("limit", len(chosen) or 1)) :]}


def _latency(found: Mapping[float, LatencyReport], query: Query) -> LatencyReport:
    report = found.get(float(query["window"]))
    if report is None:
        raise RequestRefused("not_kept", f"this bundle has no latency over {query['window']} s", "", 404)
    if "pool" not in query:
        return report
    pools = [each for each in report["pools"] if each["name"] == query["pool"]]
    return {**report, "listeners": [], "pools": pools}
