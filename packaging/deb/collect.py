"""Copy lbapp of a source tree, and the distributions it needs of the environment that runs this, into a folder.

Usage: PYTHON packaging/deb/collect.py ROOT FOLDER.

Responsible for which distributions are needed, by their own metadata, and for their files. Knows nothing of packages.
Invariants: what is copied is what the environment has, file by file as recorded; commands and bytecode stay behind; a requirement
that the environment does not meet ends it.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

# Commands, bytecode, and what is true of the environment only.
_LEFT = {"..", "__pycache__", "RECORD", "direct_url.json"}


def needed(requirements: list[str]) -> dict[str, Distribution]:
    """Return the distributions that requirements ask for, and those that these ask for, by name."""
    found: dict[str, Distribution] = {}
    open_ = [(Requirement(each), "") for each in requirements]
    while open_:
        wanted, by = open_.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": by}):
            continue
        name = canonicalize_name(wanted.name)
        try:
            there = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"{sys.executable} has no {wanted}: install it there, or build without --from")
        if not wanted.specifier.contains(there.version, prereleases=True):
            sys.exit(
                f"{sys.executable} has {name} {there.version}, not {wanted}: install that there, or build without --from"
            )
        if name not in found or wanted.extras:
            found[name] = there
            extras = ["", *wanted.extras]
            open_ += [(Requirement(each), extra) for each in there.requires or () for extra in extras]
    return found


def copy(there: Distribution, folder: Path) -> None:
    """Copy the files of a distribution."""
    for file in there.files or ():
        source = Path(str(there.locate_file(file)))
        if _LEFT.intersection(file.parts) or file.suffix == ".pyc":
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def main(root: Path, folder: Path) -> None:
    """Copy all of it."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    for there in needed(project["project"]["dependencies"]).values():
        copy(there, folder)
    data = project["tool"]["setuptools"]["package-data"]["lbapp"]
    package = root / "lbapp"
    for file in sorted([*package.rglob("*.py"), *(each for pattern in data for each in package.glob(pattern))]):
        target = folder / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} ROOT FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
