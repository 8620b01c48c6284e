"""The journal on a real disk: what was acknowledged is there, whatever became of the file."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.supervisor import journal as subject
from lbapp.engine.supervisor.journal import Journal, JournalFailed, line_of, next_number, path_in, read_back
from lbapp.model.journal import Action, Change, RampLeft, Setting

if TYPE_CHECKING:
    from typing_extensions import Buffer


def action(number: int, after: int = 5, reason: str = "a \u00e9 \u2028 reason") -> Action:
    change = Change("app/s1", Setting.WEIGHT, 100, after, 100, 1e9, 2.0, 90, RampLeft(30.0, 2.0))
    return Action(number, 1e9 + number, "eve", 7, 12, reason, "g", (change,), (1, 2))


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Journal]]:
    """Open journals, and close them at the end."""
    every: list[Journal] = []

    def open_one(path: Path) -> Journal:
        every.append(Journal(path))
        every[-1].open()
        return every[-1]

    yield open_one
    for journal in every:
        journal.close()


Open = Callable[[Path], Journal]


def test_actions_are_there_again_as_they_were(tmp_path: Path, opened: Open) -> None:
    first = opened(tmp_path / "deep" / "journal")
    assert (first.problems, first.actions) == ([], [])
    for number in (1, 2, 3):
        first.append(action(number))
    first.close()
    again = opened(tmp_path / "deep" / "journal")
    assert (again.problems, again.actions) == ([], [action(1), action(2), action(3)])
    assert next_number(again.actions) == 4
    assert (tmp_path / "deep" / "journal").stat().st_mode & 0o777 == 0o600
    again.close()


LINES = b"".join(line_of(action(number)) for number in (1, 2, 3))


@given(st.integers(0, len(LINES)))
def test_file_cut_anywhere_gives_every_action_that_is_whole(length: int) -> None:
    found = read_back(LINES[:length])
    assert found.actions == [action(number) for number in range(1, LINES[:length].count(b"\n") + 1)]
    is_torn = length and LINES[length - 1 : length] != b"\n"
    assert len(found.problems) == bool(is_torn)


@given(st.integers(0, len(LINES) - 1), st.integers(1, 255))
def test_damaged_byte_costs_one_action_and_is_told_of(at: int, flip: int) -> None:
    data = bytearray(LINES)
    data[at] ^= flip
    found = read_back(bytes(data))
    assert len(found.actions) >= 1
    assert all(each in [action(1), action(2), action(3)] for each in found.actions)
    assert found.problems


@given(st.binary(max_size=300))
def test_rubbish_is_no_action_and_no_error(data: bytes) -> None:
    assert read_back(data).actions == []


def test_torn_and_damaged_journals_are_mended_and_kept_beside(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "journal"
    path.write_bytes(line_of(action(1)) + b"deadbeef {}\n" + line_of(action(2)) + line_of(action(3))[:-9])
    journal = opened(path)
    assert journal.actions == [action(1), action(2)]
    assert len(journal.problems) == 2
    assert "1 damaged line of the journal passed over" in journal.problems[0]
    assert "never acknowledged, cut off" in journal.problems[1]
    (kept,) = tmp_path.glob("journal.damaged-*")
    assert b"deadbeef" in kept.read_bytes()
    journal.append(action(3))
    journal.close()
    again = opened(path)
    assert (again.problems, again.actions) == ([], [action(1), action(2), action(3)])
    again.close()


def test_two_engines_do_not_write_one_journal(tmp_path: Path, opened: Open) -> None:
    first = opened(tmp_path / "journal")
    second = opened(tmp_path / "journal")
    assert "another engine writes it" in second.failure
    with pytest.raises(JournalFailed, match="another engine writes it"):
        second.append(action(1))
    first.append(action(1))
    first.close()
    assert opened(tmp_path / "journal").actions == [action(1)]


def test_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "file").write_text("")
    journal = opened(tmp_path / "file" / "journal")
    assert journal.failure == f"the journal {tmp_path}/file/journal cannot be used: File exists"
    with pytest.raises(JournalFailed, match="File exists"):
        journal.append(action(1))


def test_journal_that_can_only_be_read_is_read(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path / "journal").append(action(1))
    open_file = Path.open

    def read_only(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "a" in mode or "w" in mode:
            raise OSError(errno.EROFS, "Read-only file system")
        return open_file(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", read_only)
    journal = Journal(tmp_path / "journal")
    journal.open()
    assert [each.number for each in journal.actions] == [1]
    assert journal.problems == [journal.failure]
    assert journal.failure.endswith("cannot be used: Read-only file system")
    with pytest.raises(JournalFailed, match="Read-only file system"):
        journal.append(action(2))


def test_disk_that_is_full_loses_nothing_that_was_there(tmp_path: Path, opened: Open) -> None:
    """The limit on the size of files stands for the disk: the kernel writes what fits, and then no more."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from lbapp.engine.supervisor.journal import *\n"
        "from tests.engine.supervisor.test_journal import action\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "journal = Journal(Path(sys.argv[1])); journal.open(); journal.append(action(1))\n"
        "size = Path(sys.argv[1]).stat().st_size\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))\n"
        "try:\n    journal.append(action(2))\n    print('written')\n"
        "except JournalFailed as error:\n    print('refused')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "journal.append(action(3)); print('written again')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "journal")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.split("\n")[:2] == ["refused", "written again"], done.stderr
    again = opened(tmp_path / "journal")
    assert (again.problems, [each.number for each in again.actions]) == ([], [1, 3])
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_long_journal_is_shortened_while_it_is_written_and_what_holds_stays(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "JOURNAL_BYTES_MAX", 2000)
    monkeypatch.setattr(subject, "JOURNAL_ACTIONS_KEPT", 3)
    journal = opened(tmp_path / "journal")
    other = Change("app/s2", Setting.WEIGHT, 100, 7, 100, None)
    journal.append(replace(action(1), changes=(other,)))
    for number in range(2, 50):
        journal.append(action(number))
        assert (tmp_path / "journal").stat().st_size < 3200
    journal.close()
    again = opened(tmp_path / "journal")
    numbers = [each.number for each in again.actions]
    assert (numbers[0], numbers[-3:]) == (1, [47, 48, 49])
    assert all(each in journal.actions for each in again.actions)
    again.append(action(50))
    again.close()
    assert opened(tmp_path / "journal").actions[-1] == action(50)


def test_long_journal_of_an_engine_before_is_shortened_at_the_start(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path / "journal")
    for number in range(1, 50):
        journal.append(action(number))
    journal.close()
    monkeypatch.setattr(subject, "JOURNAL_BYTES_MAX", 1000)
    monkeypatch.setattr(subject, "JOURNAL_ACTIONS_KEPT", 3)
    assert [each.number for each in opened(tmp_path / "journal").actions] == [47, 48, 49]
    assert (tmp_path / "journal").stat().st_size < 2000


def test_half_a_line_that_cannot_be_cut_off_ends_the_writing(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails in the middle of a line, and then at the cut: nothing may be acknowledged behind that."""

    class Failing(FileIO):
        def write(self, data: Buffer, /) -> int:
            super().write(memoryview(data)[:10])
            raise OSError(errno.EIO, "Input/output error")

        def truncate(self, size: int | None = None, /) -> int:
            raise OSError(errno.EIO, "Input/output error")

    journal = opened(tmp_path / "journal")
    journal.append(action(1))
    with Failing(tmp_path / "journal", "a+b") as failing:
        monkeypatch.setattr(journal, "_file", failing)
        with pytest.raises(JournalFailed, match="Input/output error"):
            journal.append(action(2))
    with pytest.raises(JournalFailed, match="cannot be used"):
        journal.append(action(3))
    monkeypatch.undo()
    journal.close()
    again = opened(tmp_path / "journal")
    assert [each.number for each in again.actions] == [1]
    assert "cut off" in again.problems[0]


def test_every_configuration_has_a_journal_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "link.toml").symlink_to("a.toml")
    one, other = (path_in(tmp_path, "journal", tmp_path / name) for name in ("a.toml", "b.toml"))
    assert one != other
    assert one == path_in(tmp_path, "journal", tmp_path / "link.toml")
    assert one.parent == tmp_path
