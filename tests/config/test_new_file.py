"""A file that was not there before is written whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lbapp.config.new_file import write_new
from lbapp.model.errors import LbappError


def test_file_and_its_folder_are_made_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "f.toml"
    write_new(file, "a = 1\n")
    assert file.read_text() == "a = 1\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(file.parent.iterdir()) == [file]


def test_file_that_is_there_stays_unless_asked(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    with pytest.raises(LbappError, match="is there already"):
        write_new(file, "new")
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])
    write_new(file, "new", may_replace=True)
    assert file.read_text() == "new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_file_that_is_replaced_stays_readable_to_whom_it_was(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("old")
    os.chown(file, 65534, 65533)
    file.chmod(0o604)
    write_new(file, "new", may_replace=True)
    found = file.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65533, 0o604)


def test_place_where_nothing_can_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(LbappError, match="f is no folder"):
        write_new(tmp_path / "f" / "g", "")
    with pytest.raises(LbappError, match="is a folder"):
        write_new(tmp_path, "")


_ELSEWHERE = """
mount --make-rprivate /
mkdir "$1/ro" "$1/full" "$1/other"
echo old >"$1/old" && touch "$1/mounted" && mount --bind "$1/old" "$1/mounted"
mount -t tmpfs -o ro tmpfs "$1/ro"
mount -t tmpfs -o size=4k tmpfs "$1/full" && head -c 4096 /dev/zero >"$1/full/all"
mount -t tmpfs tmpfs "$1/other"
"$2" - "$1" <<'END'
import sys
from pathlib import Path
from lbapp.config.new_file import write_new
from lbapp.model.errors import LbappError
folder = Path(sys.argv[1])
for name in ("mounted", "ro/f", "full/f", "other/f"):
    try:
        write_new(folder / name, "new", may_replace=name == "mounted")
        print(f"{name}: {(folder / name).read_text()}")
    except LbappError as error:
        print(f"{name}: {error.hint}")
print(*sorted(path.name for folder in (folder, folder / "full", folder / "other") for path in folder.iterdir()))
END
"""


def test_what_to_do_is_said_by_what_keeps_the_file_from_being_written(tmp_path: Path) -> None:
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", _ELSEWHERE, "sh"]
    done = subprocess.run([*apart, str(tmp_path), sys.executable], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "mounted: Something is mounted just there: write the file that is mounted, or name another place",
        "ro/f: Name a place on a file system that is not mounted read-only",
        "full/f: Make room there, or name another place",
        "other/f: new",
        "all f full mounted old other ro",
    ]
