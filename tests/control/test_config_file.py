"""The configuration file on this machine: read, replaced, and left alone when that is not to be."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from lbapp.control import config_file
from lbapp.control.config_file import FileChanged, LocalFile
from lbapp.model.errors import LbappError
from tests.children import child

OLD, NEW = "# old \u00fc\r\na = 1\r\n", "# new \u20ac\na = 2\n"
NOBODY = 65534
WRITE_ON = """
import sys
from pathlib import Path
from lbapp.control.config_file import LocalFile
file, texts = LocalFile(Path(sys.argv[1])), [letter * 3_000_000 for letter in "ab"]
print("here", flush=True)
while True:
    for text in texts:
        file.write(text, file.read())
"""
WRITE_TOO_MUCH = """
import resource, sys
from pathlib import Path
from lbapp.control.config_file import LocalFile
from lbapp.model.errors import LbappError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
file = LocalFile(Path(sys.argv[1]))
try:
    file.write("x" * 200_000, file.read())
except LbappError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lbapp.toml"
    path.write_bytes(OLD.encode())
    return path


def beside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_text_is_read_as_it_is_with_the_digest_of_its_bytes(path: Path) -> None:
    read = LocalFile(path).read()
    assert (read.text, read.digest) == (OLD, hashlib.sha256(OLD.encode()).hexdigest())


def test_file_is_replaced_and_keeps_its_mode_its_owner_its_attributes_and_its_link(path: Path) -> None:
    link = path.with_name("link.toml")
    link.symlink_to(path.name)
    path.chmod(0o640)
    group = next(iter(os.getgroups()), os.getgid())
    os.chown(path, -1, group)
    with suppress(OSError):  # a file system without attributes
        os.setxattr(path, "user.lbapp", b"kept")
    names, before = os.listxattr(path), path.stat()
    file = LocalFile(link)
    written = file.write(NEW, file.read())
    after = path.stat()
    assert (path.read_bytes(), written) == (NEW.encode(), file.read())
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, group)
    assert os.listxattr(path) == names
    assert link.is_symlink()
    assert beside(path) == ["lbapp.toml", "link.toml"]


def test_what_somebody_else_has_written_is_not_written_over(path: Path) -> None:
    file = LocalFile(path)
    read = file.read()
    path.write_text("theirs")
    with pytest.raises(
        FileChanged, match=r"was changed by somebody else since it was read; nothing was written\. Read"
    ):
        file.write(NEW, read)
    assert path.read_text() == "theirs"
    assert beside(path) == ["lbapp.toml"]


def test_of_several_who_have_read_the_same_file_one_writes_and_the_others_are_told(path: Path) -> None:
    file = LocalFile(path)
    read = file.read()

    def write(number: int) -> str:
        try:
            return file.write(f"{number}\n" * 50_000, read).text
        except FileChanged:
            return ""

    with ThreadPoolExecutor(8) as threads:
        written = [text for text in threads.map(write, range(8)) if text]
    assert written == [path.read_text()]


def test_lock_that_somebody_holds_on_the_folder_keeps_nobody_from_writing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_file, "_LOCK_S", 0.1)
    file, fd = LocalFile(path), os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(file.write, NEW, file.read()).result(20).text == NEW
    finally:
        os.close(fd)
    assert path.read_text() == NEW


def test_file_that_grows_beyond_what_may_be_stays_as_it_was(path: Path) -> None:
    command = [sys.executable, "-c", WRITE_TOO_MUCH, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written: it would be larger than a file may be here; it is as it was" in done.stdout
    assert path.read_bytes() == OLD.encode()
    assert beside(path) == ["lbapp.toml"]


def test_writer_that_is_killed_leaves_one_whole_text(path: Path) -> None:
    for _ in range(5):
        with child([sys.executable, "-c", WRITE_ON, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"here\n"
            touched = path.stat().st_ino
            while path.stat().st_ino == touched:
                pass
            writer.send_signal(signal.SIGKILL)
        assert LocalFile(path).read().text in ("a" * 3_000_000, "b" * 3_000_000)


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A file that may be read and not written, as somebody who is not its owner."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    path = folder / "lbapp.toml"
    path.write_text(OLD)
    me = os.geteuid()
    folder.chmod(0o555)
    if me == 0:
        os.seteuid(NOBODY)
    try:
        yield path
    finally:
        os.seteuid(me)
        folder.chmod(0o755)
        path.unlink()
        folder.rmdir()


def test_who_may_not_write_is_told_who_may(foreign: Path) -> None:
    file = LocalFile(foreign)
    with pytest.raises(LbappError, match=r"cannot be written: you may not; it is as it was\. Do it as the owner"):
        file.write(NEW, file.read())


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.EROFS, "its file system is read-only"),
        (errno.ENOSPC, "the disk is full"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_disk_that_cannot_take_it_is_a_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    file = LocalFile(path)
    read = file.read()
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(LbappError, match=f"cannot be written: {sentence}; it is as it was"):
        file.write(NEW, read)
    assert file.read() == read
    assert beside(path) == ["lbapp.toml"]


def test_what_is_no_file_of_text_is_a_sentence(path: Path) -> None:
    for name, sentence in (
        ("none.toml", "there is no such file"),
        ("none/lbapp.toml", "there is no such file"),
        (".", "folder"),
    ):
        with pytest.raises(LbappError, match=f"cannot be read: .*{sentence}"):
            LocalFile(path.parent / name).read()
    read = LocalFile(path).read()
    path.write_bytes(b"a = 1\n\xff")
    with pytest.raises(LbappError, match="is not UTF-8 text in line 2"):
        LocalFile(path).read()
    with pytest.raises(LbappError, match="line 2 holds half a letter"):
        LocalFile(path).write("a\n\ud800", read)
    path.unlink()
    with pytest.raises(LbappError, match="cannot be written: there is no such file; it is as it was"):
        LocalFile(path).write(NEW, read)
