"""A configuration file that was not there before.

Responsible for writing it whole or not at all, and for the sentences about what keeps it from being written. Knows nothing of
what it says.

Invariants: a file that is there is replaced only when that is asked for; a file that is half written never has the name.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from lbapp.model.errors import LbappError

_MODE: Final = 0o640  # keys of cookies may come to stand in it


def write_new(path: Path, text: str, *, may_replace: bool = False) -> None:
    """Write a file, and make its folder where there is none. Raises LbappError; nothing is there then that was not before."""
    if path.is_dir():
        raise LbappError(f"{path} is a folder", f"Name a file in it, such as {path / 'lbapp.toml'}")
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            os.fsync(file.fileno())
        if may_replace:
            Path(beside).replace(path)
        else:
            os.link(beside, path)  # fails where somebody has made it meanwhile, which a look before would not see
    except FileExistsError as error:
        if not path.parent.is_dir():
            raise LbappError(f"{path} cannot be written: {path.parent} is no folder", "Name another place") from error
        raise LbappError(f"{path} is there already and stays as it is", "Name another, or add --force") from error
    except OSError as error:
        raise LbappError(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}",
            "Name another place, or do it as root",
        ) from error
    finally:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)
