"""The history file on a real disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lbapp.control.recall import Past
from lbapp.engine.supervisor.history_file import HistoryFile, Kept
from lbapp.model.history import Moment, Node, RowWas, ServerWas, Table, encode_moment, table_number
from lbapp.model.history_file import FileHead, Ring


def table(servers: int = 2) -> Table:
    return Table(
        ("web",), ("app",), tuple(ServerWas(f"app/s{number}", "ready", "up", 100) for number in range(servers))
    )


def kept(at: float, requests: int = 1, servers: int = 2) -> Kept:
    encoded = table(servers).encoded()
    row = RowWas(requests, 0, 0, 100, 200)
    return Kept(at, encode_moment(Moment(table_number(encoded), 1.0, Node(10, 1000, 1), {0: row})), encoded)


def times(path: Path, ring: Ring = Ring.SECONDS) -> list[float]:
    return [at for at, _ in Past.in_file(path.read_bytes()).moments[ring]]


def write(file: HistoryFile, *at: float, ring: Ring = Ring.SECONDS, rows: int = 4) -> None:
    file.open(rows)
    for each in at:
        file.write(ring, kept(each))


def test_file_goes_on_where_it_was_and_keeps_its_size(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    first = HistoryFile(path)
    write(first, 1.0, 2.0)
    write(first, 60.0, ring=Ring.MINUTES)
    size = path.stat().st_size
    assert (size, path.stat().st_mode & 0o777) == (FileHead.for_rows(4, 0).file_bytes, 0o600)
    first.close()
    again = HistoryFile(path)
    write(again, 3.0)
    assert (times(path), times(path, Ring.MINUTES)) == ([1.0, 2.0, 3.0], [60.0])
    assert (path.stat().st_size, again.said) == (size, [])
    again.close()


def test_file_without_room_for_more_rows_becomes_bigger_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history"
    file = HistoryFile(path)
    write(file, 1.0, 2.0)
    before = path.stat().st_size
    write(file, 3.0, rows=500)
    assert path.stat().st_size > before
    assert times(path) == [1.0, 2.0, 3.0]
    file.close()
    write(file, 4.0, rows=4)  # and stays so
    assert times(path) == [1.0, 2.0, 3.0, 4.0]
    assert [each.name for each in tmp_path.iterdir()] == ["history"]
    file.close()


@pytest.mark.parametrize("content", [b"something else", b"lbapp-history\n\0\0" + b"\xff" * 5000])
def test_file_that_is_no_history_is_set_aside_and_said_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history"
    path.write_bytes(content)
    file = HistoryFile(path)
    write(file, 1.0)
    assert [kind for kind, _ in file.said] == ["history_set_aside"]
    assert (tmp_path / "history.damaged").read_bytes() == content
    assert times(path) == [1.0]
    file.close()


def test_damage_in_the_middle_costs_what_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "history"
    file = HistoryFile(path)
    write(file, 1.0)
    end = file._places[Ring.SECONDS].at
    write(file, 2.0, 3.0)
    file.close()
    data = bytearray(path.read_bytes())
    data[4096 + end + 40] ^= 0xFF
    path.write_bytes(data)
    assert times(path) == [1.0, 3.0]
    write(file, 4.0)
    assert times(path) == [1.0, 3.0, 4.0]
    file.close()


def test_two_engines_do_not_write_one_file(tmp_path: Path) -> None:
    first, second = HistoryFile(tmp_path / "history"), HistoryFile(tmp_path / "history")
    write(first, 1.0)
    with pytest.raises(OSError, match="another engine writes it"):
        second.open(4)
    first.close()
    write(second, 2.0)
    assert times(tmp_path / "history") == [1.0, 2.0]
    second.close()


def test_file_that_somebody_removed_is_made_anew(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history")
    write(file, 1.0)
    (tmp_path / "history").unlink()
    write(file, 2.0)
    assert times(tmp_path / "history") == [2.0]
    file.close()


def test_disk_without_room_for_the_file_leaves_nothing_behind(tmp_path: Path) -> None:
    """The limit on the size of files stands for the disk."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from lbapp.engine.supervisor.history_file import HistoryFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "file = HistoryFile(Path(sys.argv[1]))\n"
        "try:\n    file.open(4)\n    print('opened')\n"
        "except OSError:\n    print('refused', file.is_open)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "file.open(4); print('opened')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "history")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.split("\n")[:2] == ["refused False", "opened"], done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["history"]
