"""The table of clients: bounded, shared, and never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.engine.memory import Memory, MemoryFailed, walk
from lbapp.engine.policy.persistence import Remembered

NOW = 1_800_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m"


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    opened = Memory(path, 1000, 1 << 20)
    yield opened
    opened.close()


def fill(memory: Memory, numbers: range, *, pool: str = "app") -> None:
    batch = {(pool, each.to_bytes(4, "big")): Remembered("s1", NOW + 10 + each) for each in numbers}
    memory.write(batch, NOW)


def test_what_was_written_is_found_and_what_was_not_is_none(memory: Memory) -> None:
    fill(memory, range(3))
    assert memory.get("app", b"\0\0\0\2") == Remembered("s1", NOW + 12)
    assert memory.get("app", b"\0\0\0\3") is None
    assert memory.get("ap", b"\0\0\0\2") is None


def test_a_client_written_again_has_one_entry(memory: Memory) -> None:
    for server in ("s1", "s2"):
        memory.write({("app", b"abcd"): Remembered(server, NOW + 10)}, NOW)
    assert memory.get("app", b"abcd") == Remembered("s2", NOW + 10)
    assert list(memory.entries()) == [("app", b"abcd", Remembered("s2", NOW + 10))]
    assert memory.count == 1


def test_the_oldest_go_when_there_are_too_many(memory: Memory) -> None:
    fill(memory, range(1000))
    fill(memory, range(1000, 1001))
    assert memory.count <= 1000
    assert memory.get("app", (0).to_bytes(4, "big")) is None
    assert memory.get("app", (1000).to_bytes(4, "big")) is not None


def test_the_expired_go_with_the_next_write(memory: Memory) -> None:
    fill(memory, range(10))
    memory.write({("app", b"late"): Remembered("s1", NOW + 1000)}, NOW + 15)
    assert memory.count == 5  # those that last for longer than 15 s, and the new one


def test_a_file_that_is_full_makes_room_and_does_not_grow(path: Path) -> None:
    memory = Memory(path, 1_000_000, 1 << 20)
    for start in range(0, 60_000, 500):
        batch = {
            ("app", (each * 7919 % 65536).to_bytes(16, "big")): Remembered("s1", NOW + 10 + each)
            for each in range(start, start + 500)
        }
        memory.write(batch, NOW)
        assert memory.get("app", ((start + 499) * 7919 % 65536).to_bytes(16, "big")) is not None
    assert path.stat().st_size <= 1 << 20
    memory.close()
    assert walk(path) > 0


def test_clients_are_listed_and_cleared_by_pool_and_key(memory: Memory) -> None:
    fill(memory, range(3))
    fill(memory, range(2), pool="app2")
    assert [pool for pool, _, _ in memory.entries()] == ["app"] * 3 + ["app2"] * 2
    assert len(list(memory.entries("app"))) == 3
    assert memory.clear("app", b"\0\0\0\1") == 1
    assert memory.clear("app", b"\0\0\0") == 0
    assert memory.clear("app") == 2
    assert memory.clear() == 2
    assert memory.count == 0


def test_another_process_sees_what_was_written_and_it_outlives_a_kill(path: Path) -> None:
    code = (
        "import os, signal, sys, pathlib\n"
        "from lbapp.engine.memory import Memory\n"
        "from lbapp.engine.policy.persistence import Remembered\n"
        "memory = Memory(pathlib.Path(sys.argv[1]), 1000, 1 << 20)\n"
        f"memory.write({{('app', b'abcd'): Remembered('s1', {NOW})}}, 0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    memory = Memory(path, 1000, 1 << 20)
    assert memory.get("app", b"abcd") == Remembered("s1", NOW)
    memory.close()


def test_a_file_that_is_no_table_is_said_to_be_none(path: Path) -> None:
    path.write_bytes(os.urandom(65536))
    with pytest.raises(MemoryFailed):
        Memory(path, 1000, 1 << 20)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MemoryFailed):
        Memory(tmp_path / "nowhere" / "m", 1000, 1 << 20)


def test_walking_counts_and_finds_entries_without_their_expiry(path: Path) -> None:
    memory = Memory(path, 1000, 1 << 20)
    fill(memory, range(5))
    with memory._file.begin(write=True) as change:
        assert change.delete((NOW + 10).to_bytes(8, "big") + b"app\0\0\0\0\0", db=memory._expiries)
    memory.close()
    with pytest.raises(MemoryFailed, match="5 clients, 4 expiries"):
        walk(path)
