"""What the engine's user may do with a path, asked of the kernel."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.doctor.eyes import Eyes
from lbapp.doctor.unit import Unit

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
NOBODYS = Unit("f", "nobody", (), 1, (), None, (), False)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into: those of pytest are for who runs it alone."""
    with tempfile.TemporaryDirectory(prefix="lbapp-eyes-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_folder_that_can_be_made_is_fine_and_is_not_made(tmp_path: Path) -> None:
    eyes = Eyes(None)
    assert eyes.unwritable(tmp_path / "a" / "b") == ""
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "f").write_text("")
    assert eyes.unwritable(tmp_path / "f") == "no folder"
    assert eyes.unreadable(tmp_path / "f") == ""
    assert eyes.unreadable(tmp_path / "g") == "is not there"


@needs_root
def test_root_sees_what_the_units_user_may_not(open_folder: Path) -> None:
    key, log = open_folder / "key", open_folder / "log"
    for path, mode in ((key, 0o600), (log, 0o644)):
        path.write_text("")
        path.chmod(mode)
    eyes = Eyes(NOBODYS)
    assert eyes.user == "nobody"
    assert eyes.unreadable(key) == "nobody may not read it"
    assert eyes.unreadable(log) == ""
    assert eyes.unwritable(open_folder) == "nobody may not write to it"
    assert eyes.unwritable(open_folder / "new") == "is not there and nobody may not make it"
    assert eyes.unwritable_file(log) == "nobody may not write to log"
    assert Eyes(None).unreadable(key) == Eyes(None).unwritable(open_folder) == ""


@needs_root
def test_user_that_is_not_there_may_nothing(tmp_path: Path) -> None:
    eyes = Eyes(Unit("f", "nobody-of-this-name", (), 1, (), None, (), False))
    assert eyes.unreadable(Path("/etc/passwd")) == "nobody-of-this-name may not read it"
