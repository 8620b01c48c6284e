"""BIRD's control socket: a command, and the lines of its answer.

Responsible for the line protocol (BIRD's own, as `birdc` speaks it) and for what `show protocols` and `show bfd sessions` say.
Knows nothing of what is announced. A line is `NNNN-text` where more follow, `NNNN text` at the end, ` text` where the code is
as before, `+text` for what nobody asked; a code of 8000 and more is a refusal.

Invariants: an answer is whole or an error; no more of it is kept than an answer may be long.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

from lbapp.cluster.announce.backend import BackendFailed

_LINE_BYTES_MAX: Final = 4096
_LINES_MAX: Final = 20_000
_ANSWER_TIMEOUT_S: Final = 2.0
_REFUSED: Final = 8000
_match_line: Final = re.compile(r"(\d{4})([ -])(.*)").fullmatch
_PROTOCOL, _DETAIL, _BFD = 1002, 1006, 1020


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """A line of `show protocols all`. `neighbor`: of a BGP session, its address."""

    name: str
    kind: str
    state: str
    since: str
    info: str
    neighbor: str = ""


class BirdSocket:
    """One connection. It is opened when it is needed, and anew after an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: ByteStream | None = None
        self._lines: BufferedByteReceiveStream | None = None

    async def close(self) -> None:
        """Close the connection."""
        stream, self._stream, self._lines = self._stream, None, None
        if stream is not None:
            await stream.aclose()

    async def ask(self, command: str) -> list[tuple[int, str]]:
        """Return the lines of an answer, each with its code. Raises BackendFailed."""
        try:
            with anyio.fail_after(_ANSWER_TIMEOUT_S):
                if self._stream is None:
                    await self._open()
                assert self._stream is not None
                await self._stream.send(command.encode() + b"\n")
                answer = await self._answer()
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await self.close()  # whatever comes now would be taken for the next answer
            if isinstance(error, _TROUBLE):
                hint = "Start it, or give this user its socket (in Debian: the group bird)"
                raise BackendFailed(f"BIRD does not answer on {self._path}: {_reason(error)}", hint) from error
            raise
        code, text = answer[-1]
        if code >= _REFUSED:
            raise BackendFailed(f"BIRD refused {command!r}: {text}")
        return answer

    async def _open(self) -> None:
        self._stream = await anyio.connect_unix(self._path)
        self._lines = BufferedByteReceiveStream(self._stream)
        await self._answer()  # its greeting

    async def _answer(self) -> list[tuple[int, str]]:
        assert self._lines is not None
        answer: list[tuple[int, str]] = []
        code = 0
        while len(answer) < _LINES_MAX:
            line = (await self._lines.receive_until(b"\n", _LINE_BYTES_MAX)).decode(errors="replace")
            if line.startswith("+"):
                continue
            match = _match_line(line)
            if match is None:
                answer.append((code, line.removeprefix(" ")))
                continue
            code = int(match[1])
            answer.append((code, match[3]))
            if match[2] == " ":
                return answer
        raise anyio.DelimiterNotFound(_LINES_MAX)

    async def notices(self, wake: Callable[[], None]) -> None:
        """Call `wake` at everything that BIRD says unasked, such as that it was configured anew, and at its end.

        It takes the connection for itself. Raises BackendFailed: BIRD is not there, or no longer.
        """
        await self.ask("echo all")
        assert self._stream is not None
        try:
            while await self._stream.receive():
                wake()
        except _TROUBLE as error:
            await self.close()
            wake()
            raise BackendFailed(f"BIRD does not answer on {self._path}: {_reason(error)}") from error

    async def protocols(self) -> dict[str, ProtocolRow]:
        """Return every protocol by its name. Raises BackendFailed."""
        return protocol_rows(await self.ask("show protocols all"))

    async def bfd(self) -> dict[str, str]:
        """Return the state of every BFD session by the neighbor's address. Raises BackendFailed."""
        return bfd_states(await self.ask("show bfd sessions"))


_TROUBLE: Final = (
    OSError,
    TimeoutError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.DelimiterNotFound,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it says nothing" if isinstance(error, TimeoutError) else "it closed the connection"


def protocol_rows(answer: list[tuple[int, str]]) -> dict[str, ProtocolRow]:
    """Read the answer to `show protocols all`."""
    rows: dict[str, ProtocolRow] = {}
    last = ""
    for code, text in answer:
        if code == _PROTOCOL:
            columns = text.split(None, 5)
            if len(columns) >= 5:
                last, kind, _table, state, since, *info = columns
                rows[last] = ProtocolRow(last, kind, state, since, info[0].strip() if info else "")
        elif code == _DETAIL and last and text.strip().startswith("Neighbor address:"):
            address = text.partition(":")[2].strip().partition("%")[0]
            rows[last] = replace(rows[last], neighbor=address)
    return rows


def bfd_states(answer: list[tuple[int, str]]) -> dict[str, str]:
    """Read the answer to `show bfd sessions`."""
    found: dict[str, str] = {}
    for code, text in answer:
        columns = text.split()
        if code == _BFD and len(columns) >= 5 and columns[0] != "IP":
            found[columns[0].partition("%")[0]] = columns[2]
    return found
