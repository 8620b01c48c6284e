"""Talking to an engine over its control socket.

Responsible for the calls of the control API as methods, for a thread and for an event loop. Knows nothing of how answers are
shown. httpcore is imported when a client is made: the command line starts without it.

Invariant: every method returns a whole message of `control.messages` or raises EngineUnreachable or RequestRefused.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

from lbapp.control import calls
from lbapp.control.calls import Answer, Call
from lbapp.control.carrying import START, Lines, Parts, check, message, reaching, request
from lbapp.control.changes import (
    ActionsDone,
    ConfigurationFile,
    ConfigurationKept,
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
from lbapp.model.errors import EngineUnreachable

if TYPE_CHECKING:
    import httpcore

_OK: Final = 200
_SILENCE_S: Final = 5.0  # a watch sends a line every half second


class ControlClient:
    """The calls of the control API, one after the other. `name`: what the socket is to people."""

    def __init__(self, socket: Path, name: str = "") -> None:
        from lbapp.control.unix_transport import connections

        self._name = name or str(socket)
        self._http = connections(socket)

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, call: Call[Answer]) -> Answer:
        """Carry a call out. Raises RequestRefused, EngineUnreachable."""
        with reaching(self._name):
            answer = self._send(call)
            return cast(Answer, message(answer.status, answer.content, call.answered_by))

    def _send(self, call: Call[Any]) -> httpcore.Response:
        method, url, parts = request(call)
        return self._http.request(method, url, **parts)

    def status(self) -> Status:
        """Return the whole status. Raises EngineUnreachable."""
        return self.ask(calls.status())

    def workers(self) -> list[WorkerStatus]:
        """Return the worker processes. Raises RequestRefused, EngineUnreachable."""
        return cast(list[WorkerStatus], self.ask(Call("GET", "/v1/workers"))["workers"])

    def pools(self) -> list[PoolStatus]:
        """Return every pool with its servers. Raises EngineUnreachable."""
        return cast(list[PoolStatus], self.ask(Call("GET", "/v1/pools"))["pools"])

    def watch(self) -> Iterator[Status]:
        """Yield the status as it changes, until the engine ends. Raises EngineUnreachable when it goes silent."""
        return self._lines("/v1/watch", {}, _SILENCE_S)

    def patch_server(self, pool: str, server: str, patch: ServerPatch) -> ServerChange:
        """Change a server's state or weight. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.patch_server(f"{pool}/{server}", patch))

    def patch_servers(self, patch: ServersPatch) -> ServersChange:
        """Change several servers, or none. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.patch_servers(patch))

    def check_now(self, pool: str, server: str) -> ProbeStatus:
        """Run a server's health check at once, for as long as that takes. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.check_now(f"{pool}/{server}"))

    def probes(self, pool: str, server: str) -> ProbesDone:
        """Return a server's last probes, the latest last. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.probes(f"{pool}/{server}"))

    def kill(self, request: ServersKillRequest) -> ServersKilled:
        """End everything in flight at servers now, by force. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.kill(request))

    def patch_pool(self, pool: str, patch: PoolPatch) -> PoolChange:
        """Publish or unpublish a pool. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.patch_pool(pool, patch))

    def patch_node(self, patch: NodePatch) -> NodeChange:
        """Drain the node, or end that. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.patch_node(patch))

    def changes(self, limit: int, before: int | None = None) -> ActionsDone:
        """Return what operators did, the latest last; `before`: of smaller numbers. Raises EngineUnreachable."""
        return self.ask(calls.changes(limit, before))

    def differences(self) -> list[Difference]:
        """Return where the engine is other than its file. Raises EngineUnreachable."""
        return self.diff()["differences"]

    def diff(self) -> Differences:
        """Return the same, and whether the file itself is other than what serves. Raises EngineUnreachable."""
        return self.ask(calls.differences())

    def undo(self, request: UndoRequest) -> Undone:
        """Take an action back. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.undo(request))

    def reload(self, request: ReloadRequest) -> ReloadDone:
        """Have the engine serve by its file as it is now. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.reload(request))

    def rollback(self, request: RollbackRequest) -> ReloadDone:
        """Have the engine serve by an earlier configuration. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.rollback(request))

    def confirm(self) -> ConfigurationKept:
        """Have the configuration that serves stay. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.confirm({}))

    def add_server(self, pool: str, server: NewServer) -> ReloadDone:
        """Add a server to a pool. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.add_server(pool, server))

    def remove_server(self, server_id: str, removal: Removal) -> ReloadDone:
        """Take a server, `POOL/SERVER`, out of its pool. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.remove_server(server_id, removal))

    def upgrade(self, reason: str) -> UpgradeDone:
        """Have another engine, of what is installed now, take the place of this one. Raises RequestRefused, EngineUnreachable."""
        wanted: UpgradeRequest = {"reason": reason}
        return self.ask(Call("POST", "/v1/upgrade", body=wanted, timeout_s=calls.RELOAD_TIMEOUT_S))

    def configurations(self) -> list[ConfigurationKept]:
        """Return what was applied, the latest last. Raises EngineUnreachable."""
        return self.ask(calls.configurations())["configurations"]

    def configuration(self) -> ConfigurationFile:
        """Return the configuration file as it is now, and what serves. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.configuration())

    def configuration_text(self, number: int) -> str:
        """Return the text of a configuration that was applied. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.configuration_text(number))["text"]

    def events(
        self, after: int = 0, limit: int = 100, *, before: int | None = None, kind: str = "", subject: str = ""
    ) -> list[Event]:
        """Return the newest events between two numbers, oldest first; of some kinds (with commas), about a subject."""
        return self.ask(calls.events(after, limit, before=before, kind=kind, subject=subject))["events"]

    def follow_events(self, after: int = 0, *, kind: str = "", subject: str = "") -> Iterator[Event]:
        """Yield events as they happen, until the engine stops."""
        return self._lines("/v1/events", {"after": after, "follow": 1, **calls.events_about(None, kind, subject)}, None)

    def follow_log(self, query: dict[str, str]) -> Iterator[LogLine | Skipped]:
        """Yield exchanges as they end, until the engine stops. Raises RequestRefused, EngineUnreachable."""
        return self._lines("/v1/log", query, None)

    def latency(self, window_s: float, pool: str | None) -> LatencyReport:
        """Return percentiles over the last 10, 60 or 300 seconds. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.latency(window_s, pool))

    def status_at(self, at: float) -> PastStatus:
        """Return how everything was at a time (Unix seconds). Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.status_at(at))

    def course(self, subject: Subject | None, last_s: float, step_s: int) -> Course:
        """Return how it went, of late; no subject: with the node. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.course(subject, last_s, step_s))

    def sessions(self, limit: int, where: Mapping[str, str] | None = None) -> Sessions:
        """Return the connections of clients; `where`: pool, server, or both. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.sessions(limit, where))

    def captures(self) -> Captures:
        """Return the last malformed requests and answers. Raises EngineUnreachable."""
        return self.ask(calls.captures())

    def metrics(self) -> str:
        """Return the exposition for Prometheus. Raises EngineUnreachable."""
        return self._content("/metrics").decode()

    def history_file(self) -> bytes:
        """Return the history file as it is: see `control.recall.Past.in_file`. Raises RequestRefused, EngineUnreachable."""
        return self._content("/v1/history/file")

    def _content(self, path: str) -> bytes:
        with reaching(self._name):
            answer = self._send(Call("GET", path))
            check(answer.status, answer.content)
            return answer.content

    def close_session(self, session: int, where: Mapping[str, str] | None = None) -> None:
        """Close one connection; `where`: only if it is busy with that pool or server now.

        Raises RequestRefused, EngineUnreachable.
        """
        self.ask(calls.close_session(session, where))

    def decisions(self, query: dict[str, str]) -> Decisions:
        """Return why servers were chosen lately. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.decisions(query))

    def preview_decision(self, query: dict[str, str]) -> Decisions:
        """Return which server would be chosen now, and why. Raises RequestRefused, EngineUnreachable."""
        return self.ask(calls.preview_decision(query))

    def _lines(self, path: str, query: Mapping[str, int | str], silence_s: float | None) -> Iterator[Any]:
        method, url, parts = _listening(path, query, silence_s)
        with reaching(self._name), self._http.stream(method, url, **parts) as answer:
            if answer.status != _OK:
                check(answer.status, answer.read())
            lines = Lines()
            for part in answer.iter_stream():
                yield from lines.take(part)

    def remembered_clients(self, pool: str | None, key: str | None, limit: int) -> RememberedClients:
        """Return who is remembered. Raises RequestRefused, EngineUnreachable."""
        query = {name: value for name, value in (("pool", pool), ("key", key)) if value is not None}
        return self.ask(Call("GET", "/v1/persistence", {**query, "limit": limit}))

    def clear_clients(self, pool: str | None, key: str | None) -> PersistenceCleared:
        """Forget clients. Raises RequestRefused, EngineUnreachable."""
        query = {name: value for name, value in (("pool", pool), ("key", key)) if value is not None}
        return self.ask(Call("DELETE", "/v1/persistence", query))

    def stop(self, timeout_s: float | None = None) -> None:
        """Have the engine drain and stop."""
        self.ask(Call("POST", "/v1/stop", body={} if timeout_s is None else {"timeout_s": timeout_s}))


class AsyncControlClient:
    """The same for an event loop: what the TUI uses."""

    def __init__(self, socket: Path, name: str = "") -> None:
        from lbapp.control.unix_transport import async_connections

        self._name = name or str(socket)
        self._http = async_connections(socket)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def watch_changes(self, after: str = "", *, has_figures: bool = True) -> AsyncGenerator[Line, None]:
        """Yield everything, or what has changed since the look `after`, and then what changes; without figures states alone.

        Raises EngineUnreachable when the engine ends or goes silent.
        """
        query = {"as": "changes", **({"after": after} if after else {}), **({} if has_figures else {"figures": "no"})}
        return self._lines("/v1/watch", query, _SILENCE_S, None)

    def follow_events(self, after: int) -> AsyncGenerator[Event, None]:
        """Yield events as they happen. Raises RequestRefused, EngineUnreachable: also when the engine ends."""
        return self._lines("/v1/events", {"after": after, "follow": 1}, None, Event)

    async def ask(self, call: Call[Answer]) -> Answer:
        """Carry a call out. Raises RequestRefused, EngineUnreachable."""
        method, url, parts = request(call)
        with reaching(self._name):
            answer = await self._http.request(method, url, **parts)
            return calls.whole(call, message(answer.status, answer.content, call.answered_by), self._name)

    def follow_log(self, query: Mapping[str, str]) -> AsyncGenerator[LogLine | Skipped, None]:
        """Yield exchanges as they end. Raises RequestRefused, EngineUnreachable: also when the engine ends."""
        return self._lines("/v1/log", query, None, LogLine | Skipped)

    async def _lines(
        self, path: str, query: Mapping[str, int | str], silence_s: float | None, shape: Any
    ) -> AsyncGenerator[Any, None]:
        method, url, parts = _listening(path, query, silence_s)
        shaped = calls.shaping(shape, self._name)
        with reaching(self._name):
            async with self._http.stream(method, url, **parts) as answer:
                if answer.status != _OK:
                    check(answer.status, await answer.aread())
                lines = Lines()
                async for part in answer.aiter_stream():
                    for line in lines.take(part):
                        yield shaped(line)
        raise EngineUnreachable(f"the engine on {self._name} has ended", START)


def _listening(path: str, query: Mapping[str, int | str], silence_s: float | None) -> tuple[str, str, Parts]:
    """Return the request for a stream of lines. `silence_s`: the longest between two, None: any."""
    method, url, parts = request(Call("GET", path, query))
    parts["extensions"]["timeout"]["read"] = silence_s
    return method, url, parts
