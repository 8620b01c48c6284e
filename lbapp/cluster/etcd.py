"""A client of etcd's v3 JSON gateway: over HTTP/1.1, at whichever of its endpoints answers.

Responsible for calls and watches, for the token of a user, and for saying why there is no answer. Knows nothing of a fleet.

Invariants: every answer is bounded in bytes and time; an endpoint that fails is left for the next one; what goes wrong is a
`StoreError`. A call that may have been made although nobody answered says so: all writes here can be repeated, or compare first.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

import anyio
import anyio.to_thread
import httpx

from lbapp.cluster import gateway
from lbapp.cluster.gateway import Body, Committed, Found, Message, Nonsense
from lbapp.cluster.transport import CancellableTransport
from lbapp.model import limits
from lbapp.model.fleet import ClusterSettings

_Value = TypeVar("_Value")
_PASSWORD_BYTES_MAX: Final = 4096
# What etcd answers, beside 401, when it does not know the token any more, or there is none yet.
_TOKEN_PROBLEMS: Final = ("invalid auth token", "user name is empty", "revision of auth store is old")
_LEASE_GONE: Final = "lease not found"


class StoreError(Exception):
    """What was asked of the store did not come to be: one sentence without an end says why."""


class StoreUnreachable(StoreError):
    """No endpoint has answered as it should. `is_unknown`: what was asked may have been done all the same."""

    def __init__(self, message: str, *, is_unknown: bool) -> None:
        super().__init__(message)
        self.is_unknown = is_unknown


class StoreRefused(StoreError):
    """The store has answered that it will not do it."""


class LeaseGone(StoreRefused):
    """The lease has expired, or the store has lost it."""


class Compacted(StoreError):
    """The store has forgotten what a watch was to begin with."""


class Silent(StoreError):
    """A watch has had nothing to say for a while."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    data: bytes


class Watch:
    """A watch that is open: an iterator of its messages.

    Raises StoreUnreachable when it breaks off, Silent when nothing comes for `STORE_SILENCE_S`, Compacted, StoreRefused.
    """

    def __init__(self, chunks: AsyncIterator[bytes], where: str) -> None:
        self._chunks = chunks
        self._where = where
        self._buffer = b""
        self._searched = 0  # bytes of the buffer that have no end of a line

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        line = await self._line()
        try:
            message = gateway.message(line)
        except Nonsense as error:
            raise _unreachable(self._where, f"answers nonsense: {error}") from error
        if message.compacted:
            raise Compacted(f"the store has forgotten what was before revision {message.compacted}")
        if message.ended is not None:
            raise StoreRefused(f"the store ends the watch: {message.ended}")
        return message

    async def _line(self) -> bytes:
        try:
            with anyio.fail_after(limits.STORE_SILENCE_S):
                while True:
                    line = self._take_line()
                    if line:
                        return line
                    self._buffer += await anext(self._chunks)
        except TimeoutError as error:
            raise Silent(f"{self._where} is silent") from error
        except StopAsyncIteration as error:
            raise _unreachable(self._where, "has ended the watch") from error
        except httpx.HTTPError as error:
            raise _unreachable(self._where, f"has broken off: {_why(error)}") from error

    def _take_line(self) -> bytes:
        """Return the next line that is not empty, or nothing when there is no whole one."""
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            line, self._buffer, self._searched = self._buffer[:end].strip(), self._buffer[end + 1 :], 0
            if line:
                return line
        self._searched = len(self._buffer)
        if self._searched > limits.STORE_LINE_BYTES_MAX:
            raise _unreachable(self._where, "sends a line without an end")
        return b""


class Etcd:
    """The store, as long as it is entered. Calls raise StoreUnreachable and StoreRefused."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._endpoints = settings.endpoints
        self._at = 0  # the endpoint that answered last
        self._token = ""
        self._authenticating = anyio.Lock()
        self._http: httpx.AsyncClient

    async def __aenter__(self) -> Self:
        context = await anyio.to_thread.run_sync(self._tls)
        timeout = httpx.Timeout(None, connect=limits.STORE_CONNECT_TIMEOUT_S)  # each call has its own
        self._http = httpx.AsyncClient(transport=CancellableTransport(context), timeout=timeout, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    @property
    def endpoint(self) -> str:
        """The endpoint that is asked first."""
        return self._endpoints[self._at]

    # -- calls -------------------------------------------------------------------------------------------------------

    async def range(self, key: bytes, end: bytes = b"", *, limit: int = 0, revision: int = 0) -> Found:
        """Return what there is from `key` to before `end`, or of the key."""
        body = gateway.range_of(key, end, limit=limit, revision=revision)
        return await self._ask("kv/range", body, gateway.found)

    async def put(self, key: bytes, value: bytes, lease: int = 0) -> int:
        """Write a key; return the store's revision. Raises LeaseGone."""
        return await self._ask("kv/put", gateway.put(key, value, lease), gateway.revision_of)

    async def delete(self, key: bytes, end: bytes = b"") -> int:
        """Delete a key, or all from `key` to before `end`; return the store's revision."""
        return await self._ask("kv/deleterange", gateway.range_of(key, end), gateway.revision_of)

    async def txn(self, body: Body) -> Committed:
        """Do a transaction, as of `gateway.transaction`. Raises LeaseGone."""
        return await self._ask("kv/txn", body, gateway.committed)

    async def grant(self, ttl_s: float) -> int:
        """Return a new lease."""
        lease = await self._ask("lease/grant", {"TTL": str(round(ttl_s))}, lambda answer: _whole(answer, "ID"))
        if lease <= 0:
            raise StoreUnreachable("the store gives no lease", is_unknown=False)
        return lease

    async def keep_alive(self, lease: int) -> None:
        """Have a lease live on. Raises LeaseGone."""
        left = await self._ask(
            "lease/keepalive", {"ID": str(lease)}, lambda answer: _whole(gateway.inner(answer), "TTL")
        )
        if left <= 0:
            raise LeaseGone("the lease has expired")

    async def revoke(self, lease: int) -> None:
        """End a lease, with all keys that live by it."""
        with contextlib.suppress(LeaseGone):
            await self._ask("lease/revoke", {"ID": str(lease)}, gateway.revision_of)

    @contextlib.asynccontextmanager
    async def watch(self, key: bytes, end: bytes, revision: int) -> AsyncGenerator[Watch, None]:
        """Open a watch of a range from a revision on, at the endpoint that answered last."""
        endpoint, body = self._at, gateway.watching(key, end, revision)
        token = await self._token_of(endpoint)
        async with contextlib.AsyncExitStack() as stack:
            try:
                response = await self._open(endpoint, self._request(endpoint, "watch", body, token), stack)
                if response.status_code != httpx.codes.OK:
                    with self._failing(endpoint), anyio.fail_after(limits.STORE_REQUEST_TIMEOUT_S) as scope:
                        self._judge(endpoint, _Answer(response.status_code, await _body(response, scope)), token)
                chunks = response.aiter_raw(chunk_size=None)
                stack.push_async_callback(chunks.aclose)  # type: ignore[attr-defined]
                yield Watch(chunks, self._endpoints[endpoint])
            except StoreRefused:
                self._forget(token)  # a token that is not known any more ends a watch without saying so
                raise
            except (StoreUnreachable, Silent):
                self._move_on(endpoint)
                raise

    async def _open(self, endpoint: int, request: httpx.Request, stack: contextlib.AsyncExitStack) -> httpx.Response:
        """Return an answer that has begun, which ends with `stack`."""
        with self._failing(endpoint), anyio.fail_after(limits.STORE_REQUEST_TIMEOUT_S):
            response = await self._http.send(request, stream=True)
        stack.push_async_callback(response.aclose)
        return response

    # -- asking ------------------------------------------------------------------------------------------------------

    async def _ask(self, path: str, body: Body, read: Callable[[Body], _Value]) -> _Value:
        """Ask each endpoint in turn until one answers; a single one is asked twice if it fails at once."""
        is_unknown = False
        tries = max(2, len(self._endpoints))
        while True:
            tries -= 1
            endpoint = self._at
            try:
                return await self._ask_one(endpoint, path, body, read)
            except LeaseGone:
                raise
            except StoreRefused as error:
                if not is_unknown:
                    raise
                raise StoreUnreachable(str(error), is_unknown=True) from error  # who was asked before may have done it
            except StoreUnreachable as error:
                self._move_on(endpoint)
                is_unknown |= error.is_unknown
                if tries == 0 or (len(self._endpoints) == 1 and isinstance(error.__cause__, TimeoutError)):
                    raise StoreUnreachable(str(error), is_unknown=is_unknown) from error

    async def _ask_one(self, endpoint: int, path: str, body: Body, read: Callable[[Body], _Value]) -> _Value:
        token = await self._token_of(endpoint)
        answer = await self._send(endpoint, path, body, token)
        if self._settings.user and _is_token_problem(answer):
            self._forget(token)
            token = await self._token_of(endpoint)
            answer = await self._send(endpoint, path, body, token)
        self._judge(endpoint, answer, token)
        return self._read(endpoint, answer, read)

    async def _send(self, endpoint: int, path: str, body: Body, token: str) -> _Answer:
        request = self._request(endpoint, path, body, token)
        timeout_s = limits.STORE_REQUEST_TIMEOUT_S + len(request.content) / limits.STORE_BYTES_PER_S_MIN
        with self._failing(endpoint), anyio.fail_after(timeout_s) as scope:
            response = await self._http.send(request, stream=True)
            try:
                return _Answer(response.status_code, await _body(response, scope))
            finally:
                await response.aclose()

    def _request(self, endpoint: int, path: str, body: Body, token: str) -> httpx.Request:
        # Whatever is answered is bounded as it comes, so it must not grow by being unpacked. A member of etcd that has no leader
        # ends a watch with that header rather than to say nothing.
        headers = {"Accept-Encoding": "identity", "Grpc-Metadata-Hasleader": "true"}
        if token:
            headers["Authorization"] = token
        url = f"{self._endpoints[endpoint]}/v3/{path}"
        return self._http.build_request("POST", url, content=json.dumps(body), headers=headers)

    def _judge(self, endpoint: int, answer: _Answer, token: str) -> None:
        """Raise what is wrong with an answer, if anything."""
        if answer.status == httpx.codes.OK:
            return
        where = self._endpoints[endpoint]
        try:
            said = gateway.problem_of(gateway.read_json(answer.data))[: limits.STORE_ERROR_BYTES_MAX]
        except Nonsense:
            said = ""
        said = said.removeprefix("etcdserver: ") or f"HTTP status {answer.status}"
        if _LEASE_GONE in said:
            raise LeaseGone(f"{where} says: {said}")
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status == httpx.codes.NOT_FOUND:
            raise _unreachable(where, f"answers: {said}")  # no leader, no quorum, or no etcd at all
        if self._settings.user and _is_token_problem(answer):
            self._forget(token)
        raise StoreRefused(f"{where} says: {said}")

    def _read(self, endpoint: int, answer: _Answer, read: Callable[[Body], _Value]) -> _Value:
        try:
            return read(gateway.read_json(answer.data))
        except Nonsense as error:
            raise _unreachable(self._endpoints[endpoint], f"answers nonsense: {error}") from error

    @contextlib.contextmanager
    def _failing(self, endpoint: int) -> Iterator[None]:
        where = self._endpoints[endpoint]
        try:
            yield
        except TimeoutError as error:
            message = f"{where} does not answer within {limits.STORE_REQUEST_TIMEOUT_S:g} s"
            raise StoreUnreachable(message, is_unknown=True) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise StoreUnreachable(f"{where} cannot be reached: {_why(error)}", is_unknown=False) from error
        except httpx.HTTPError as error:
            raise _unreachable(where, f"has broken off: {_why(error)}") from error
        except _TooLong as error:
            raise _unreachable(where, f"answers more than {limits.STORE_BODY_BYTES_MAX} bytes") from error
        except RuntimeError as error:
            if not self._http.is_closed:
                raise
            raise StoreUnreachable(f"the link to {where} was closed meanwhile", is_unknown=False) from error

    def _move_on(self, endpoint: int) -> None:
        if self._at == endpoint:  # nobody else has done so
            self._at = (endpoint + 1) % len(self._endpoints)

    # -- who asks ----------------------------------------------------------------------------------------------------

    async def _token_of(self, endpoint: int) -> str:
        """Return the token to ask with; empty: nobody has to be known."""
        if not self._settings.user or self._token:
            return self._token
        async with self._authenticating:
            if not self._token:
                password = await anyio.to_thread.run_sync(self._password)
                body = {"name": self._settings.user, "password": password}
                answer = await self._send(endpoint, "auth/authenticate", body, "")
                self._judge(endpoint, answer, "")
                self._token = self._read(endpoint, answer, gateway.token_of)
            return self._token

    def _forget(self, token: str) -> None:
        if self._token == token:
            self._token = ""

    def _password(self) -> str:
        """Return the first line of the password file, as it is now."""
        if self._settings.password_file is None:
            return ""
        try:
            with Path(self._settings.password_file).open("rb") as file:
                return file.read(_PASSWORD_BYTES_MAX).split(b"\n")[0].strip().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise StoreRefused(f"the password file {self._settings.password_file} cannot be read: {why}") from error

    def _tls(self) -> ssl.SSLContext | None:
        if not any(endpoint.startswith("https:") for endpoint in self._endpoints):
            return None  # nothing to verify: the certificates of the system need not be loaded
        try:
            return ssl.create_default_context(cafile=self._settings.ca_file)
        except OSError as error:  # SSLError, too
            raise StoreRefused(f"the file {self._settings.ca_file} cannot be used: {_why(error)}") from error


class _TooLong(Exception):
    """An answer has more bytes than any that is sensible."""


async def _body(response: httpx.Response, scope: anyio.CancelScope) -> bytes:
    """Return a whole body. The deadline of `scope` moves with what comes, so that a long one has time, and a slow one has not."""
    parts, length = [], 0
    async for part in response.aiter_raw():
        length += len(part)
        scope.deadline += len(part) / limits.STORE_BYTES_PER_S_MIN
        if length > limits.STORE_BODY_BYTES_MAX:
            raise _TooLong
        parts.append(part)
    return b"".join(parts)


def _is_token_problem(answer: _Answer) -> bool:
    if answer.status == httpx.codes.UNAUTHORIZED:
        return True
    said = answer.data[: limits.STORE_ERROR_BYTES_MAX].decode("utf-8", "replace")
    return answer.status != httpx.codes.OK and any(problem in said for problem in _TOKEN_PROBLEMS)


def _unreachable(where: str, why: str) -> StoreUnreachable:
    return StoreUnreachable(f"{where} {why}", is_unknown=True)


def _why(error: BaseException) -> str:
    """Return what the system said, where it said something, as libraries say less the further they are from it."""
    deepest: BaseException | None = error
    while deepest is not None:
        if isinstance(deepest, BaseExceptionGroup):
            deepest = deepest.exceptions[0]
        if isinstance(deepest, ssl.SSLError):
            return str(deepest.args[-1])
        if isinstance(deepest, OSError) and deepest.errno:
            return os.strerror(deepest.errno) if deepest.errno > 0 else str(deepest.strerror)
        deepest = deepest.__cause__ or deepest.__context__
    return str(error) or type(error).__name__


def _whole(answer: Body, name: str) -> int:
    return gateway.number_of(answer, name)
