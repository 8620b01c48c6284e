"""What the supervisor does so that clients come back to their server: keys, the table's file, who is in it.

Responsible for the engine's own keys, for finding out before any worker starts whether the table is sound, for listing and
clearing it, and for saying when clients are not remembered. Knows nothing of how a worker chooses.

Invariants: a damaged table is moved aside, never repaired or deleted; nothing here keeps an engine from starting but keys
that cannot be kept, as another engine would not know its clients; a list is bounded.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from lbapp.config.secrets import read_keys
from lbapp.control.messages import Actor, PersistenceCleared, RememberedClient, RememberedClients
from lbapp.control.paths import default_state_dir
from lbapp.engine.memory import FILE_NAME, Memory, MemoryFailed
from lbapp.engine.policy.persistence import address_key, header_key, shown_key
from lbapp.engine.scoreboard.totals import pool_totals
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.wire.forwarding import plain_address
from lbapp.model.entities import Configuration, Pool
from lbapp.model.errors import RequestRefused, StartError
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType

KEYS_NAME: Final = "persistence.keys"
CHECK_TIMEOUT_S: Final = 20.0
_LOOK_INTERVAL_S: Final = 1.0
_SAID_INTERVAL_S: Final = 60.0  # between two events that say the same
_CHECK: Final = "import sys, pathlib; from lbapp.engine.memory import walk; print(walk(pathlib.Path(sys.argv[1])))"
_DIGEST: Final = re.compile(r"#[0-9a-f]{32}").fullmatch
T = TypeVar("T")

_BY_TABLE: Final = frozenset((PersistenceType.IP, PersistenceType.HEADER))
Finding = tuple[str, str]  # kind of event, message


def prepare(configuration: Configuration, *, is_table_open: bool = False) -> tuple[Configuration, list[Finding]]:
    """Return the configuration with all that persistence needs in it, and what there is to say. Raises StartError.

    `is_table_open`: workers use the table already.
    """
    types = {pool.persistence.type for pool in configuration.pools if pool.persistence is not None}
    if not types:
        return configuration, []
    folder = Path(configuration.engine.state_dir or default_state_dir())
    engine = replace(configuration.engine, state_dir=str(folder))
    findings: list[Finding] = []
    if types & _BY_TABLE and not is_table_open:
        findings += _check(folder)
    pools = configuration.pools
    if any(_needs_keys(pool) for pool in pools):
        keys = _own_keys(folder / KEYS_NAME)
        pools = tuple(_with_keys(pool, keys) if _needs_keys(pool) else pool for pool in pools)
    return replace(configuration, engine=engine, pools=pools), findings


def _needs_keys(pool: Pool) -> bool:
    persistence = pool.persistence
    return persistence is not None and persistence.type is PersistenceType.COOKIE and not persistence.keys


def _with_keys(pool: Pool, keys: tuple[PersistenceKey, ...]) -> Pool:
    assert pool.persistence is not None
    return replace(pool, persistence=replace(pool.persistence, keys=keys))


def _own_keys(path: Path) -> tuple[PersistenceKey, ...]:
    """Return the engine's own keys, made at its first start. Raises StartError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_keys(path)
        return tuple(read_keys(path.absolute()))
    except OSError as error:
        message = f"the keys for cookies cannot be kept in {path}: {error.strerror}"
        raise StartError(message, "Give [engine] state_dir a folder, or [pool.persistence] keys_file") from error
    except ValueError as error:
        raise StartError(f"the keys for cookies: {error}", f"Put {path} right, or move it away") from error


def _make_keys(path: Path) -> None:
    """Write a new key, whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fd = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write("# Signs lbapp's cookies. The same file on every node makes them good on every node.\n")
        file.write(f"{time.strftime('%Y-%m-%d', time.gmtime())} {secrets.token_urlsafe(32)}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _check(folder: Path) -> list[Finding]:
    """See to it that the table's file can be used; move it aside if it is damaged."""
    path = folder / FILE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists() or not path.stat().st_size:
            return []
    except OSError as error:
        return [("persistence_failed", f"{folder}: {error.strerror}; clients are not remembered, a hash is used")]
    fault = _fault_of(path)
    if not fault:
        return []
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    try:
        path.rename(aside)
        path.with_name(path.name + "-lock").unlink(missing_ok=True)
    except OSError as error:
        return [("persistence_failed", f"{path} is damaged and cannot be moved: {error.strerror}")]
    return [("persistence_moved_aside", f"the table of clients was damaged ({fault}); it is now {aside}")]


def _fault_of(path: Path) -> str:
    """Return what is wrong with a table's file, empty if nothing: a process of its own finds out, as it may die of it."""
    command = [sys.executable, "-P", "-c", _CHECK, str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(command, capture_output=True, timeout=CHECK_TIMEOUT_S, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return f"not read within {CHECK_TIMEOUT_S:g} s"
    if done.returncode == 0:
        return ""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"reading it ended with status {done.returncode}"


class Clients:
    """Who is remembered, for the control API; and the watch over what could not be."""

    def __init__(self, running: Running, events: Events) -> None:
        self._running = running
        self._events = events
        self._memory: Memory | None = None
        self._lock = anyio.Lock()
        self._types = {
            pool.name: pool.persistence
            for pool in running.configuration.pools
            if pool.persistence is not None and pool.persistence.type is not PersistenceType.COOKIE
        }

    @property
    def has_table(self) -> bool:
        """Say whether the table is in use."""
        return bool(self._types)

    def take_over(self, former: Clients) -> None:
        """Go on with the table that a generation before has opened: no process may open it twice."""
        self._memory = former._memory

    async def listed(self, pool: str | None, key: str | None, limit: int) -> RememberedClients:
        """Return who is remembered, at most `limit`. Raises RequestRefused."""
        chosen = self._chosen(pool, key)
        if not self._types:
            return {"clients": [], "total": 0, "is_truncated": False}
        return await self._in_thread(lambda memory: self._listed(memory, chosen, limit))

    async def clear(self, pool: str | None, key: str | None, actor: Actor) -> PersistenceCleared:
        """Forget clients: all, those of a pool, or one of a pool. Raises RequestRefused."""
        chosen = self._chosen(pool, key)
        cleared = 0
        if self._types:
            cleared = await self._in_thread(lambda memory: memory.clear(*chosen))
        whose = "all pools" if pool is None else f"pool {pool}" if key is None else f"pool {pool}, {key}"
        message = f"{cleared} clients of {whose} are no longer remembered"
        self._events.add("persistence_cleared", pool or "node", message, actor=actor)
        return {"cleared": cleared}

    async def count(self, state: ServerState) -> int | None:
        """Return how many clients are remembered at a server; None where no table says."""
        if state.pool.name not in self._types:
            return None

        def counted(memory: Memory) -> int:
            return sum(remembered.server == state.server.name for _, _, remembered in memory.entries(state.pool.name))

        try:
            return await self._in_thread(counted)
        except RequestRefused:
            return None

    async def run(self) -> None:
        """Say when clients could not be remembered, until cancelled."""
        seen = dict.fromkeys(self._types, 0)
        said_s = -_SAID_INTERVAL_S
        while self._types:
            await anyio.sleep(_LOOK_INTERVAL_S)
            now = {name: self._not_remembered(name) for name in self._types}
            if now != seen and time.monotonic() - said_s >= _SAID_INTERVAL_S:
                said_s = time.monotonic()
                for name in [each for each in now if now[each] != seen[each]]:
                    message = f"{now[name] - seen[name]} times a client of {name} was not remembered: the hash was used"
                    self._events.add("persistence_failed", name, f"{message}; the log of the worker says why")
                seen = now

    def _not_remembered(self, pool: str) -> int:
        return pool_totals(self._running.segment, self._running.rows.pools[pool]).not_remembered

    def _chosen(self, pool: str | None, key: str | None) -> tuple[str | None, bytes | None]:
        if key is None:
            return pool, None
        if pool is None:
            raise RequestRefused("invalid_query", "a key means nothing without its pool", "Give pool=P as well", 422)
        try:
            return pool, _packed(key, self._types.get(pool))
        except ValueError as error:
            message = f"{key} is no address"
            raise RequestRefused("invalid_query", message, "Such as key=192.0.2.7", 422) from error

    def _listed(self, memory: Memory, chosen: tuple[str | None, bytes | None], limit: int) -> RememberedClients:
        now_s = time.time()
        pool, key = chosen
        found: Iterator[RememberedClient] = (
            {"pool": name, "key": shown_key(each), "server": f"{name}/{kept.server}", "expires_at": kept.expires_s}
            for name, each, kept in memory.entries(pool)
            if kept.expires_s > now_s and (key is None or each == key)
        )
        clients = list(islice(found, limit + 1))
        return {"clients": clients[:limit], "total": memory.count, "is_truncated": len(clients) > limit}

    async def _in_thread(self, do: Callable[[Memory], T]) -> T:
        """Use the table where it may wait for a worker's write without holding up the supervisor."""

        def open_and_do() -> T:
            engine, limits = self._running.configuration.engine, self._running.configuration.limits
            if self._memory is None:
                path = Path(engine.state_dir or default_state_dir()) / FILE_NAME
                self._memory = Memory(path, limits.persistence_entries_max, limits.persistence_bytes_max)
            return do(self._memory)

        try:
            async with self._lock:
                return await anyio.to_thread.run_sync(open_and_do)
        except MemoryFailed as error:
            message = f"the table of clients cannot be used: {error}"
            raise RequestRefused("persistence_failed", message, "The engine's log has more", 503) from error


def _packed(key: str, settings: Persistence | None) -> bytes:
    """Return a key as the table has it from what an operator writes. Raises ValueError."""
    if settings is not None and settings.type is PersistenceType.HEADER:
        return b"#" + bytes.fromhex(key[1:]) if _DIGEST(key) else header_key(key.encode())
    packed = plain_address(ip_address(key)).packed  # as the clients themselves are known
    return packed if settings is None else address_key(packed, settings.ipv4_prefix, settings.ipv6_prefix)
