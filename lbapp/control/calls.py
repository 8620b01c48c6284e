"""Every call of the control API as a value: what is asked, how long it may take, and what comes back.

Responsible for paths, queries, bodies and the type of each answer. Knows nothing of sockets: a client of an engine carries
calls out, and so may whatever stands in for an engine, such as a file that was written for a bug report.

Invariants: a call is made once and never changed; whoever carries it out gives the whole answer or raises RequestRefused or
EngineUnreachable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from lbapp.control.changes import (
    ActionsDone,
    ConfigurationFile,
    ConfigurationKept,
    ConfigurationsKept,
    ConfigurationText,
    ConfirmRequest,
    Differences,
    NewServer,
    NodeChange,
    NodePatch,
    PoolChange,
    PoolPatch,
    ReloadDone,
    ReloadRequest,
    Removal,
    RollbackRequest,
    ServerChange,
    ServerPatch,
    ServersChange,
    ServersKilled,
    ServersKillRequest,
    ServersPatch,
    Undone,
    UndoRequest,
)
from lbapp.control.decisions import Decisions
from lbapp.control.fleet import (
    AnnounceReport,
    DnsReport,
    FleetConfigurationStatus,
    FleetStatus,
    PublishRequest,
    Readiness,
    RollStop,
)
from lbapp.control.latency import LatencyReport
from lbapp.control.looking import Captures, Sessions
from lbapp.control.messages import Events, ProbesDone, ProbeStatus, ServerStatus, Status
from lbapp.control.past import Course, PastRates, PastStatus
from lbapp.control.shape import flaws_of
from lbapp.model.amounts import Subject
from lbapp.model.errors import EngineUnreachable

Answer = TypeVar("Answer")

ASK_TIMEOUT_S: Final = 10.0
REPORT_TIMEOUT_S: Final = 2.0  # of what is asked and told every second
CHECK_TIMEOUT_S: Final = 120.0  # as long as a check may take
RELOAD_TIMEOUT_S: Final = 90.0  # names may have to be resolved, and every worker has to get ready


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One question or change. `timeout_s`: the longest silence until the answer.

    `answered_by`: statuses that come with the answer, beside those of success; `shape`: the answer's type, where it has one.
    """

    method: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: object = None
    timeout_s: float = ASK_TIMEOUT_S
    answered_by: tuple[int, ...] = ()
    shape: Any = None

    @property
    def is_change(self) -> bool:
        """Say whether it changes something."""
        return self.method != "GET"


def whole(call: Call[Answer], answer: Any, name: str) -> Answer:
    """Return an answer if it is what the call asks for. Raises EngineUnreachable: it is one of another version of lbapp."""
    found: Answer = shaping(call.shape, name)(answer)
    return found


def shaping(shape: Any, name: str) -> Callable[[Any], Any]:
    """Return what passes messages of a shape on, None: all. It raises EngineUnreachable for others."""
    flaw_of = None if shape is None else flaws_of(shape)

    def shaped(message: Any) -> Any:
        if flaw_of is not None and (what := flaw_of(message)):
            raise EngineUnreachable(
                f"{what}: another version of lbapp answers on {name}", "Use the console of that version"
            )
        return message

    return shaped


def server_path(server_id: str) -> str:
    """Return the path of a server, `POOL/SERVER`."""
    pool, _, server = server_id.partition("/")
    return f"/v1/pools/{quote(pool, safe='')}/servers/{quote(server, safe='')}"


# -- looking -------------------------------------------------------------------------------------------------------------


def status() -> Call[Status]:
    """Ask for everything as it is."""
    return Call("GET", "/v1/status", shape=Status)


def server(server_id: str) -> Call[ServerStatus]:
    """Ask for all figures of one server."""
    return Call("GET", server_path(server_id), shape=ServerStatus)


def probes(server_id: str) -> Call[ProbesDone]:
    """Ask for a server's last probes, the latest last."""
    return Call("GET", f"{server_path(server_id)}/probes", shape=ProbesDone)


def events(
    after: int = 0, limit: int = 100, *, before: int | None = None, kind: str = "", subject: str = ""
) -> Call[Events]:
    """Ask for the newest events between two numbers, oldest first; of some kinds (with commas), about a subject; empty: any."""
    return Call(
        "GET", "/v1/events", {"after": after, "limit": limit, **events_about(before, kind, subject)}, shape=Events
    )


def events_about(before: int | None, kind: str, subject: str) -> dict[str, str | int]:
    """Return the part of a query that says which events are meant."""
    found = {"before": before, "kind": kind or None, "subject": subject or None}
    return {name: value for name, value in found.items() if value is not None}


def latency(window_s: float, pool: str | None = None) -> Call[LatencyReport]:
    """Ask for percentiles over the last 10, 60 or 300 seconds."""
    return Call(
        "GET",
        "/v1/latency",
        {"window": f"{window_s:g}"} | ({} if pool is None else {"pool": pool}),
        shape=LatencyReport,
    )


def status_at(at: float) -> Call[PastStatus]:
    """Ask how everything was at a time (Unix seconds)."""
    return Call("GET", "/v1/history", {"at": f"{at:.3f}"}, shape=PastStatus)


def course(subject: Subject | None, last_s: float, step_s: int) -> Call[Course]:
    """Ask how it went, of late; no subject: with the node."""
    named = {} if subject is None else {str(subject.kind): subject.name}
    return Call("GET", "/v1/history", {"last": f"{last_s:.3f}", "step": str(step_s)} | named, shape=Course)


def rates(last_s: float, until: float) -> Call[PastRates]:
    """Ask for the requests per second of every pool and server in the last seconds before a time (Unix seconds)."""
    return Call("GET", "/v1/history", {"rates": f"{last_s:g}", "until": f"{until:.3f}"}, shape=PastRates)


def sessions(limit: int, where: Mapping[str, str] | None = None) -> Call[Sessions]:
    """Ask for the connections of clients, those busy for longest first; `where`: pool, server, or both."""
    return Call("GET", "/v1/sessions", {"limit": limit, **(where or {})}, shape=Sessions)


def captures() -> Call[Captures]:
    """Ask for the last malformed requests and answers."""
    return Call("GET", "/v1/captures", shape=Captures)


def decisions(query: Mapping[str, str]) -> Call[Decisions]:
    """Ask why servers were chosen lately."""
    return Call("GET", "/v1/decisions", query, shape=Decisions)


def preview_decision(query: Mapping[str, str]) -> Call[Decisions]:
    """Ask which server would be chosen now, and why."""
    return Call("GET", "/v1/decisions/preview", query, shape=Decisions)


def changes(limit: int, before: int | None = None) -> Call[ActionsDone]:
    """Ask what operators did, the latest last; `before`: of smaller numbers."""
    return Call(
        "GET", "/v1/changes", {"limit": limit} | ({} if before is None else {"before": before}), shape=ActionsDone
    )


def differences() -> Call[Differences]:
    """Ask where the engine is other than its file."""
    return Call("GET", "/v1/diff", shape=Differences)


def configurations() -> Call[ConfigurationsKept]:
    """Ask what was applied, the latest last."""
    return Call("GET", "/v1/configurations", shape=ConfigurationsKept)


def configuration() -> Call[ConfigurationFile]:
    """Ask for the configuration file as it is now, and for what serves."""
    return Call("GET", "/v1/configuration", shape=ConfigurationFile)


def configuration_text(number: int) -> Call[ConfigurationText]:
    """Ask for a configuration that was applied."""
    return Call("GET", f"/v1/configurations/{number}", shape=ConfigurationText)


def ready() -> Call[Readiness]:
    """Ask whether the node should get new clients: 503 says that it should not, and why."""
    return Call("GET", "/v1/ready", timeout_s=REPORT_TIMEOUT_S, answered_by=(503,))


def fleet() -> Call[FleetStatus]:
    """Ask what the node knows of its fleet."""
    return Call("GET", "/v1/fleet")


# -- changing ------------------------------------------------------------------------------------------------------------


def patch_server(server_id: str, patch: ServerPatch) -> Call[ServerChange]:
    """Change a server's state or weight."""
    return Call("PATCH", server_path(server_id), body=patch, shape=ServerChange)


def patch_servers(patch: ServersPatch) -> Call[ServersChange]:
    """Change several servers, or none; or ask what that would do."""
    return Call("PATCH", "/v1/servers", body=patch, shape=ServersChange)


def check_now(server_id: str) -> Call[ProbeStatus]:
    """Run a server's health check at once."""
    return Call("POST", f"{server_path(server_id)}/check", timeout_s=CHECK_TIMEOUT_S, shape=ProbeStatus)


def kill(request: ServersKillRequest) -> Call[ServersKilled]:
    """End everything in flight at servers now, by force."""
    return Call("POST", "/v1/servers/kill", body=request, shape=ServersKilled)


def patch_pool(pool: str, patch: PoolPatch) -> Call[PoolChange]:
    """Publish or unpublish a pool."""
    return Call("PATCH", f"/v1/pools/{quote(pool, safe='')}", body=patch, shape=PoolChange)


def patch_node(patch: NodePatch) -> Call[NodeChange]:
    """Drain the node, or end that."""
    return Call("PATCH", "/v1/node", body=patch, shape=NodeChange)


def add_server(pool: str, new: NewServer) -> Call[ReloadDone]:
    """Add a server to a pool."""
    return Call(
        "POST", f"/v1/pools/{quote(pool, safe='')}/servers", body=new, timeout_s=RELOAD_TIMEOUT_S, shape=ReloadDone
    )


def remove_server(server_id: str, removal: Removal) -> Call[ReloadDone]:
    """Take a server out of its pool."""
    return Call("DELETE", server_path(server_id), body=removal, timeout_s=RELOAD_TIMEOUT_S, shape=ReloadDone)


def undo(request: UndoRequest) -> Call[Undone]:
    """Take an action back."""
    return Call("POST", "/v1/undo", body=request, shape=Undone)


def reload(request: ReloadRequest) -> Call[ReloadDone]:
    """Have the engine serve by its file as it is now."""
    return Call("POST", "/v1/reload", body=request, timeout_s=RELOAD_TIMEOUT_S, shape=ReloadDone)


def rollback(request: RollbackRequest) -> Call[ReloadDone]:
    """Have the engine serve by an earlier configuration."""
    return Call("POST", "/v1/rollback", body=request, timeout_s=RELOAD_TIMEOUT_S, shape=ReloadDone)


def confirm(request: ConfirmRequest) -> Call[ConfigurationKept]:
    """Have the configuration that serves stay."""
    return Call("POST", "/v1/confirm", body=request, shape=ConfigurationKept)


def publish_configuration(request: PublishRequest) -> Call[FleetConfigurationStatus]:
    """Have all nodes of the fleet serve by a configuration."""
    return Call("POST", "/v1/fleet/configuration", body=request, timeout_s=RELOAD_TIMEOUT_S)


def stop_roll(request: RollStop) -> Call[FleetConfigurationStatus]:
    """Let a roll go no further."""
    return Call("POST", "/v1/fleet/configuration/stop", body=request)


def report_routes(report: AnnounceReport) -> Call[object]:
    """Tell the engine what has become of the node's addresses."""
    return Call("PUT", "/v1/reports/announce", body=report, timeout_s=REPORT_TIMEOUT_S)


def report_records(report: DnsReport) -> Call[object]:
    """Tell the engine what has become of the node's records."""
    return Call("PUT", "/v1/reports/dns", body=report, timeout_s=REPORT_TIMEOUT_S)


def close_session(session: int, where: Mapping[str, str] | None = None) -> Call[object]:
    """Close one connection of a client; `where`: only if it is busy with that pool or server now."""
    return Call("DELETE", f"/v1/sessions/{session}", dict(where or {}))
