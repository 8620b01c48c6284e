"""Talking to an engine over its control socket.

Responsible for the calls of the control API as methods, and for turning what goes wrong into errors with a sentence. Knows
nothing of how answers are shown. httpx is imported when a client is made: the command line starts without it.

Invariant: every method returns a whole message of `control.messages` or raises EngineUnreachable or RequestRefused.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from lbapp.control.calls import Answer, Call
from lbapp.control.changes import (
    ActionsDone,
    ConfigurationFile,
    ConfigurationKept,
    ConfigurationsKept,
    ConfigurationText,
    Difference,
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
    UpgradeDone,
    UpgradeRequest,
)
from lbapp.control.decisions import Decisions
from lbapp.control.latency import LatencyReport
from lbapp.control.live import Line
from lbapp.control.looking import Captures, LogLine, Sessions, Skipped
from lbapp.control.messages import (
    Event,
    Events,
    PersistenceCleared,
    PoolStatus,
    ProbesDone,
    ProbeStatus,
    RememberedClients,
    Status,
    WorkerStatus,
)
from lbapp.control.past import Course, PastStatus
from lbapp.model.amounts import Subject
from lbapp.model.errors import EngineUnreachable, Problem, RequestRefused

if TYPE_CHECKING:
    import httpx

_BASE: Final = "http://lbapp"
_TIMEOUT_S: Final = 10.0
_RELOAD_TIMEOUT_S: Final = 90.0  # names may have to be resolved, and every worker has to get ready
_SILENCE_S: Final = 5.0  # a watch sends a line every half second
_START: Final = "Start one with: lbapp run -c FILE"


@contextmanager
def _reaching(name: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except (httpx.TransportError, httpx.StreamError, json.JSONDecodeError) as error:
        if _is_forbidden(error):
            hint = "Run this as the user that runs the engine, or as root"
            raise EngineUnreachable(f"you may not use the control socket {name}", hint) from error
        raise EngineUnreachable(f"no engine answers on {name}", _START) from error


def _is_forbidden(error: BaseException | None) -> bool:
    """Say whether a refused permission lies behind an error; httpx wraps what the socket said twice."""
    while error is not None and not isinstance(error, PermissionError):
        error = error.__cause__ or error.__context__
    return error is not None


def _answer(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json()
    try:
        detail = response.json()["error"]
        code, message, hint = str(detail["code"]), str(detail["message"]), str(detail["hint"])
        problems = [
            Problem(each["file"], each["line"], each["key"], each["message"]) for each in detail.get("problems", ())
        ]
    except (ValueError, KeyError, TypeError):
        code, message, hint, problems = "unexpected", f"the engine answered {response.status_code}", "", []
    raise RequestRefused(code, message, hint, response.status_code, problems)


def _events_query(before: int | None, kind: str, subject: str) -> dict[str, int | str]:
    found = {"before": before, "kind": kind or None, "subject": subject or None}
    return {name: value for name, value in found.items() if value is not None}


def _server_path(pool: str, server: str) -> str:
    return f"/v1/pools/{quote(pool, safe='')}/servers/{quote(server, safe='')}"


class ControlClient:
    """The calls of the control API, one after the other. `name`: what the socket is to people."""

    def __init__(self, socket: Path, name: str = "") -> None:
        import httpx

        self._name = name or str(socket)
        # No TLS on a Unix socket: loading the certificates would cost every command 50 ms.
        transport = httpx.HTTPTransport(uds=str(socket), verify=False)
        self._http = httpx.Client(transport=transport, base_url=_BASE, timeout=_TIMEOUT_S)

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def _call(self, method: str, path: str, **options: Any) -> Any:
        with _reaching(self._name):
            return _answer(self._http.request(method, path, **options))

    def status(self) -> Status:
        """Return the whole status. Raises EngineUnreachable."""
        return cast(Status, self._call("GET", "/v1/status"))

    def workers(self) -> list[WorkerStatus]:
        """Return the worker processes. Raises RequestRefused, EngineUnreachable."""
        return cast(list[WorkerStatus], self._call("GET", "/v1/workers")["workers"])

    def pools(self) -> list[PoolStatus]:
        """Return every pool with its servers. Raises EngineUnreachable."""
        return cast(list[PoolStatus], self._call("GET", "/v1/pools")["pools"])

    def watch(self) -> Iterator[Status]:
        """Yield the status as it changes, until the engine ends. Raises EngineUnreachable when it goes silent."""
        return self._lines("/v1/watch", {}, _SILENCE_S)

    def patch_server(self, pool: str, server: str, patch: ServerPatch) -> ServerChange:
        """Change a server's state or weight. Raises RequestRefused, EngineUnreachable."""
        return cast(ServerChange, self._call("PATCH", _server_path(pool, server), json=patch))

    def patch_servers(self, patch: ServersPatch) -> ServersChange:
        """Change several servers, or none. Raises RequestRefused, EngineUnreachable."""
        return cast(ServersChange, self._call("PATCH", "/v1/servers", json=patch))

    def check_now(self, pool: str, server: str) -> ProbeStatus:
        """Run a server's health check at once, for as long as that takes. Raises RequestRefused, EngineUnreachable."""
        import httpx

        timeout = httpx.Timeout(_TIMEOUT_S, read=None)
        return cast(ProbeStatus, self._call("POST", f"{_server_path(pool, server)}/check", timeout=timeout))

    def probes(self, pool: str, server: str) -> ProbesDone:
        """Return a server's last probes, the latest last. Raises RequestRefused, EngineUnreachable."""
        return cast(ProbesDone, self._call("GET", f"{_server_path(pool, server)}/probes"))

    def kill(self, request: ServersKillRequest) -> ServersKilled:
        """End everything in flight at servers now, by force. Raises RequestRefused, EngineUnreachable."""
        return cast(ServersKilled, self._call("POST", "/v1/servers/kill", json=request))

    def patch_pool(self, pool: str, patch: PoolPatch) -> PoolChange:
        """Publish or unpublish a pool. Raises RequestRefused, EngineUnreachable."""
        return cast(PoolChange, self._call("PATCH", f"/v1/pools/{quote(pool, safe='')}", json=patch))

    def patch_node(self, patch: NodePatch) -> NodeChange:
        """Drain the node, or end that. Raises RequestRefused, EngineUnreachable."""
        return cast(NodeChange, self._call("PATCH", "/v1/node", json=patch))

    def changes(self, limit: int, before: int | None = None) -> ActionsDone:
        """Return what operators did, the latest last; `before`: of smaller numbers. Raises EngineUnreachable."""
        query = {"limit": limit} | ({} if before is None else {"before": before})
        return cast(ActionsDone, self._call("GET", "/v1/changes", params=query))

    def differences(self) -> list[Difference]:
        """Return where the engine is other than its file. Raises EngineUnreachable."""
        return self.diff()["differences"]

    def diff(self) -> Differences:
        """Return the same, and whether the file itself is other than what serves. Raises EngineUnreachable."""
        return cast(Differences, self._call("GET", "/v1/diff"))

    def undo(self, request: UndoRequest) -> Undone:
        """Take an action back. Raises RequestRefused, EngineUnreachable."""
        return cast(Undone, self._call("POST", "/v1/undo", json=request))

    def reload(self, request: ReloadRequest) -> ReloadDone:
        """Have the engine serve by its file as it is now. Raises RequestRefused, EngineUnreachable."""
        return cast(ReloadDone, self._call("POST", "/v1/reload", json=request, timeout=_RELOAD_TIMEOUT_S))

    def rollback(self, request: RollbackRequest) -> ReloadDone:
        """Have the engine serve by an earlier configuration. Raises RequestRefused, EngineUnreachable."""
        return cast(ReloadDone, self._call("POST", "/v1/rollback", json=request, timeout=_RELOAD_TIMEOUT_S))

    def confirm(self) -> ConfigurationKept:
        """Have the configuration that serves stay. Raises RequestRefused, EngineUnreachable."""
        return cast(ConfigurationKept, self._call("POST", "/v1/confirm"))

    def add_server(self, pool: str, server: NewServer) -> ReloadDone:
        """Add a server to a pool. Raises RequestRefused, EngineUnreachable."""
        path = f"/v1/pools/{quote(pool, safe='')}/servers"
        return cast(ReloadDone, self._call("POST", path, json=server, timeout=_RELOAD_TIMEOUT_S))

    def remove_server(self, server_id: str, removal: Removal) -> ReloadDone:
        """Take a server, `POOL/SERVER`, out of its pool. Raises RequestRefused, EngineUnreachable."""
        pool, _, server = server_id.partition("/")
        return cast(
            ReloadDone, self._call("DELETE", _server_path(pool, server), json=removal, timeout=_RELOAD_TIMEOUT_S)
        )

    def upgrade(self, reason: str) -> UpgradeDone:
        """Have another engine, of what is installed now, take the place of this one. Raises RequestRefused, EngineUnreachable."""
        request: UpgradeRequest = {"reason": reason}
        return cast(UpgradeDone, self._call("POST", "/v1/upgrade", json=request, timeout=_RELOAD_TIMEOUT_S))

    def configurations(self) -> list[ConfigurationKept]:
        """Return what was applied, the latest last. Raises EngineUnreachable."""
        return cast(ConfigurationsKept, self._call("GET", "/v1/configurations"))["configurations"]

    def configuration(self) -> ConfigurationFile:
        """Return the configuration file as it is now, and what serves. Raises RequestRefused, EngineUnreachable."""
        return cast(ConfigurationFile, self._call("GET", "/v1/configuration"))

    def configuration_text(self, number: int) -> str:
        """Return the text of a configuration that was applied. Raises RequestRefused, EngineUnreachable."""
        return cast(ConfigurationText, self._call("GET", f"/v1/configurations/{number}"))["text"]

    def events(
        self, after: int = 0, limit: int = 100, *, before: int | None = None, kind: str = "", subject: str = ""
    ) -> list[Event]:
        """Return the newest events between two numbers, oldest first; of some kinds (with commas), about a subject."""
        query = {"after": after, "limit": limit, **_events_query(before, kind, subject)}
        return cast(Events, self._call("GET", "/v1/events", params=query))["events"]

    def follow_events(self, after: int = 0, *, kind: str = "", subject: str = "") -> Iterator[Event]:
        """Yield events as they happen, until the engine stops."""
        return self._lines("/v1/events", {"after": after, "follow": 1, **_events_query(None, kind, subject)}, None)

    def follow_log(self, query: dict[str, str]) -> Iterator[LogLine | Skipped]:
        """Yield exchanges as they end, until the engine stops. Raises RequestRefused, EngineUnreachable."""
        return self._lines("/v1/log", query, None)

    def latency(self, window_s: float, pool: str | None) -> LatencyReport:
        """Return percentiles over the last 10, 60 or 300 seconds. Raises RequestRefused, EngineUnreachable."""
        query = {"window": f"{window_s:g}"} | ({} if pool is None else {"pool": pool})
        return cast(LatencyReport, self._call("GET", "/v1/latency", params=query))

    def status_at(self, at: float) -> PastStatus:
        """Return how everything was at a time (Unix seconds). Raises RequestRefused, EngineUnreachable."""
        return cast(PastStatus, self._call("GET", "/v1/history", params={"at": f"{at:.3f}"}))

    def course(self, subject: Subject | None, last_s: float, step_s: int) -> Course:
        """Return how it went, of late; no subject: with the node. Raises RequestRefused, EngineUnreachable."""
        query = {"last": f"{last_s:.3f}", "step": str(step_s)}
        named = {} if subject is None else {subject.kind: subject.name}
        return cast(Course, self._call("GET", "/v1/history", params=query | named))

    def sessions(self, limit: int, where: Mapping[str, str] | None = None) -> Sessions:
        """Return the connections of clients; `where`: pool, server, or both. Raises RequestRefused, EngineUnreachable."""
        return cast(Sessions, self._call("GET", "/v1/sessions", params={"limit": limit, **(where or {})}))

    def captures(self) -> Captures:
        """Return the last malformed requests and answers. Raises EngineUnreachable."""
        return cast(Captures, self._call("GET", "/v1/captures"))

    def metrics(self) -> str:
        """Return the exposition for Prometheus. Raises EngineUnreachable."""
        return self._content("/metrics").decode()

    def history_file(self) -> bytes:
        """Return the history file as it is: see `control.recall.Past.in_file`. Raises RequestRefused, EngineUnreachable."""
        return self._content("/v1/history/file")

    def _content(self, path: str) -> bytes:
        with _reaching(self._name):
            answer = self._http.get(path)
            if not answer.is_success:
                _answer(answer)
            return answer.content

    def close_session(self, session: int, where: Mapping[str, str] | None = None) -> None:
        """Close one connection; `where`: only if it is busy with that pool or server now.

        Raises RequestRefused, EngineUnreachable.
        """
        self._call("DELETE", f"/v1/sessions/{session}", params=dict(where or {}))

    def decisions(self, query: dict[str, str]) -> Decisions:
        """Return why servers were chosen lately. Raises RequestRefused, EngineUnreachable."""
        return cast(Decisions, self._call("GET", "/v1/decisions", params=query))

    def preview_decision(self, query: dict[str, str]) -> Decisions:
        """Return which server would be chosen now, and why. Raises RequestRefused, EngineUnreachable."""
        return cast(Decisions, self._call("GET", "/v1/decisions/preview", params=query))

    def _lines(self, path: str, params: Mapping[str, int | str], silence_s: float | None) -> Iterator[Any]:
        import httpx

        timeout = httpx.Timeout(_TIMEOUT_S, read=silence_s)
        with (
            _reaching(self._name),
            self._http.stream("GET", path, params=params, timeout=timeout) as answer,
        ):
            if not answer.is_success:
                answer.read()
                _answer(answer)
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)

    def remembered_clients(self, pool: str | None, key: str | None, limit: int) -> RememberedClients:
        """Return who is remembered. Raises RequestRefused, EngineUnreachable."""
        query = {name: value for name, value in (("pool", pool), ("key", key)) if value is not None}
        return cast(RememberedClients, self._call("GET", "/v1/persistence", params={**query, "limit": limit}))

    def clear_clients(self, pool: str | None, key: str | None) -> PersistenceCleared:
        """Forget clients. Raises RequestRefused, EngineUnreachable."""
        query = {name: value for name, value in (("pool", pool), ("key", key)) if value is not None}
        return cast(PersistenceCleared, self._call("DELETE", "/v1/persistence", params=query))

    def stop(self, timeout_s: float | None = None) -> None:
        """Have the engine drain and stop."""
        self._call("POST", "/v1/stop", json={} if timeout_s is None else {"timeout_s": timeout_s})


class AsyncControlClient:
    """The same for an event loop: what the TUI uses."""

    def __init__(self, socket: Path, name: str = "") -> None:
        import httpx

        from lbapp.control.unix_transport import UnixTransport

        self._name = name or str(socket)
        self._http = httpx.AsyncClient(transport=UnixTransport(socket), base_url=_BASE, timeout=_TIMEOUT_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def watch_changes(self) -> AsyncGenerator[Line, None]:
        """Yield everything, and then what has changed. Raises EngineUnreachable when the engine ends or goes silent."""
        return self._lines("/v1/watch", {"as": "changes"}, _SILENCE_S)

    def follow_events(self, after: int) -> AsyncGenerator[Event, None]:
        """Yield events as they happen. Raises RequestRefused, EngineUnreachable: also when the engine ends."""
        return self._lines("/v1/events", {"after": after, "follow": 1}, None)

    async def ask(self, call: Call[Answer]) -> Answer:
        """Carry a call out. Raises RequestRefused, EngineUnreachable."""
        with _reaching(self._name):
            answer = await self._http.request(
                call.method, call.path, params=dict(call.query), json=call.body, timeout=call.timeout_s
            )
            return cast(Answer, _answer(answer))

    def follow_log(self, query: Mapping[str, str]) -> AsyncGenerator[LogLine | Skipped, None]:
        """Yield exchanges as they end. Raises RequestRefused, EngineUnreachable: also when the engine ends."""
        return self._lines("/v1/log", query, None)

    async def _lines(
        self, path: str, query: Mapping[str, int | str], silence_s: float | None
    ) -> AsyncGenerator[Any, None]:
        import httpx

        timeout = httpx.Timeout(_TIMEOUT_S, read=silence_s)
        with _reaching(self._name):
            async with self._http.stream("GET", path, params=dict(query), timeout=timeout) as answer:
                if not answer.is_success:
                    await answer.aread()
                    _answer(answer)
                async for line in answer.aiter_lines():
                    if line:
                        yield json.loads(line)
        raise EngineUnreachable(f"the engine on {self._name} has ended", _START)
