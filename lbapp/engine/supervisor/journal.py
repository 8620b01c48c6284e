"""The journal: every action of an operator, on disk before it is acknowledged.

Responsible for one file of lines, each with a checksum, for writing a line so that it survives the machine, and for reading
what is there, whatever became of it. Knows nothing of what an action means.

Invariants: `append` returns when the line is on the disk, and raises otherwise; a line that was cut short by a crash is cut
off, one that is damaged is passed over, both are kept in a file beside and told of; two engines never write one journal; the
file does not grow without end.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import anyio

from lbapp.control.state_file import sync_folder
from lbapp.engine.policy.intent import worth_keeping
from lbapp.model.journal import Action, Change, RampLeft, Setting
from lbapp.model.limits import JOURNAL_ACTIONS_KEPT, JOURNAL_BYTES_MAX

_CHECKSUM_LETTERS: Final = 8


class JournalFailed(Exception):
    """Nothing can be written: a sentence says why."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What a journal held: the actions, and a sentence for everything that was wrong with it."""

    actions: list[Action]
    problems: list[str]


def path_in(folder: Path, name: str, configuration: Path) -> Path:
    """Return where something of an engine is kept: for each configuration file a file of its own."""
    digest = hashlib.blake2b(str(configuration.resolve()).encode(), digest_size=6).hexdigest()
    return folder / f"{name}-{digest}"


class Journal:
    """One open journal. `actions` are those read, and then those written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.actions: list[Action] = []
        self.problems: list[str] = []  # a sentence for each thing that was wrong when it was opened
        self.failure = ""  # why nothing can be written; empty: it can
        self.changing = anyio.Lock()  # held by whoever changes what the engine does
        self._shorten_at = JOURNAL_BYTES_MAX
        self._file: FileIO | None = None

    def open(self) -> None:
        """Read what is there and make ready to write. What is wrong is in `problems` then; it never raises."""
        self.problems = self._open()

    def _open(self) -> list[str]:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)  # what could not be written must not be written later
            self.path.chmod(0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return [self._fail("another engine writes it")]
        except OSError as error:
            return [self._fail(error.strerror or str(error)), *self._look()]
        try:
            return self._take_in()
        except OSError as error:
            return [self._fail(error.strerror or str(error))]

    def _fail(self, reason: str) -> str:
        self.failure = f"the journal {self.path} cannot be used: {reason}"
        self.close()
        return self.failure

    def _look(self) -> list[str]:
        """Read what is there where nothing can be written, such as on a disk that has become read-only."""
        try:
            found = read_back(self.path.read_bytes())
        except OSError:
            return []
        self.actions = found.actions
        return found.problems

    def _take_in(self) -> list[str]:
        assert self._file is not None
        self._file.seek(0)
        data = self._file.readall()
        found = read_back(data)
        self.actions = found.actions
        if found.problems:
            kept = self.path.with_name(f"{self.path.name}.damaged-{time.time():.0f}")
            kept.touch(mode=0o600)
            kept.write_bytes(data)
            self._rewrite()
            return [f"{problem}; the whole is kept as {kept}" for problem in found.problems]
        if len(data) > JOURNAL_BYTES_MAX:
            self._shorten()
        return []

    def _rewrite(self) -> None:
        """Write the file anew, in the place of the old one at one stroke."""
        beside = self.path.with_name(self.path.name + ".new")
        data = b"".join(map(line_of, self.actions))
        new = beside.open("w+b", buffering=0)
        try:
            fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(new, data)
            os.fsync(new.fileno())
            beside.replace(self.path)
        except BaseException:
            new.close()
            raise
        self.close()
        self._file = new
        self._shorten_at = max(JOURNAL_BYTES_MAX, 2 * len(data))
        sync_folder(self.path.parent)

    def append(self, action: Action) -> None:
        """Write an action down; return when it is on the disk. Raises JournalFailed. It may take as long as the disk does."""
        if self._file is None:
            raise JournalFailed(self.failure or "the journal is closed")
        end = self._file.seek(0, os.SEEK_END)
        try:
            _write_all(self._file, line_of(action))
            os.fsync(self._file.fileno())
            if not self.actions:
                sync_folder(self.path.parent)  # the file itself may be new
        except OSError as error:
            reason = error.strerror or str(error)
            try:
                self._file.truncate(end)
            except OSError:
                self._fail(reason)  # behind half a line the next one would not be found
            raise JournalFailed(f"the journal {self.path} cannot be written: {reason}") from error
        self.actions.append(action)
        if end > self._shorten_at:
            self._shorten()

    def _shorten(self) -> None:
        """Keep what is worth keeping; a disk that has no room for it leaves the file as it is."""
        kept, self.actions = self.actions, worth_keeping(self.actions, JOURNAL_ACTIONS_KEPT)
        try:
            self._rewrite()
        except OSError:
            self.actions = kept
            self._shorten_at *= 2

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what a full disk has not taken
                self._file.close()
            self._file = None


def _write_all(file: FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def line_of(action: Action) -> bytes:
    """Return an action as a line: a checksum, a space, JSON."""
    body = json.dumps(asdict(action), separators=(",", ":"), ensure_ascii=True).encode()
    return b"%08x %b\n" % (crc32(body), body)


def read_back(data: bytes) -> ReadBack:
    """Read the lines of a journal, whatever they are."""
    actions: dict[int, Action] = {}
    damaged = 0
    lines = data.split(b"\n")
    rest = lines.pop()
    for line in lines:
        action = _action_of(line)
        if action is None:
            damaged += 1
        else:
            actions[action.number] = action
    problems = []
    if damaged:
        problems.append(f"{damaged} damaged {'line' if damaged == 1 else 'lines'} of the journal passed over")
    if rest:
        problems.append(f"the end of the journal, {len(rest)} bytes of an action that was never acknowledged, cut off")
    return ReadBack([actions[number] for number in sorted(actions)], problems)


def _action_of(line: bytes) -> Action | None:
    checksum, _, body = line.partition(b" ")
    if len(checksum) != _CHECKSUM_LETTERS:
        return None
    try:
        if int(checksum, 16) != crc32(body):
            return None
        read: dict[str, Any] = json.loads(body)
        changes = tuple(_change_of(each) for each in read["changes"])
        passed_over = tuple((on, Setting(setting)) for on, setting in read.get("passed_over", ()))
        return Action(**{**read, "changes": changes, "undoes": tuple(read["undoes"]), "passed_over": passed_over})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _change_of(read: dict[str, Any]) -> Change:
    left = read.get("ramp_left")
    return Change(
        **{**read, "setting": Setting(read["setting"]), "ramp_left": None if left is None else RampLeft(**left)}
    )


def next_number(actions: Sequence[Action]) -> int:
    """Return the number of the action after these."""
    return actions[-1].number + 1 if actions else 1
