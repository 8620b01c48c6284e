"""What is published: a source archive and a wheel, and that the wheel alone is lbapp."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import click
import pytest

from tests.house.test_tree import ROOT, tracked_files

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both from a copy of the tree, the wheel from the archive, as is done to publish them."""
    folder = tmp_path_factory.mktemp("built")
    for name in tracked_files():
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / "tree" / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(folder / "tree")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return folder


def test_wheel_is_installed_into_an_empty_environment_and_runs_the_demo(built: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    site = tmp_path / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    # The dependencies as they are here: behind what was installed, without the editable lbapp that may be among them.
    (site / "here.pth").write_text(f"{Path(click.__file__).parents[1]}\n")
    where = subprocess.run(
        [str(python), "-P", "-c", "import lbapp; print(lbapp.__file__)"],
        cwd=tmp_path, env={}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(site))
    demo = subprocess.run(
        [str(python.with_name("lbapp")), "demo", "--headless", "--duration", "3"],
        cwd=tmp_path, env={"TMPDIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert demo.returncode == 0, demo.stdout + demo.stderr


def test_wheel_has_all_of_lbapp_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if not name.partition("/")[0].endswith(".dist-info")}
        (about,) = (name for name in opened.namelist() if name.endswith("METADATA"))
        metadata = email.message_from_bytes(opened.read(about))
    assert names == {name for name in tracked_files() if name.startswith("lbapp/")}
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_an_index_takes_both_and_can_show_their_page(built: Path) -> None:
    files = [str(path) for pattern in ("*.whl", "*.tar.gz") for path in built.glob(pattern)]
    command = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == len(files) == 2, done.stdout


def test_source_archive_has_what_it_takes_to_build_test_and_package(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    missing = [name for name in tracked_files() if name not in names and not name.startswith(".")]
    assert not missing, missing
