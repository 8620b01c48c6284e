"""Secrets that cookies are signed with: read from a file, or from the configuration itself.

Responsible for the form of a key, for files of keys, and for refusing what strangers can read. Knows nothing of what is signed.
A file of keys has one `ID SECRET` a line, the one that signs first; empty lines and lines from `#` on say nothing.

Invariant: no sentence made here shows a secret.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from lbapp.config import values
from lbapp.config.lines import Path as KeyPath
from lbapp.model.persistence import PersistenceKey

SECRET_BYTES_MIN: Final = 16
_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}").fullmatch
_KEYS_MAX: Final = 16
_FORM: Final = 'a key is { id = "2026-11", secret = "..." }, with a secret of 16 bytes or more'


def key(value: object) -> PersistenceKey:
    """Return a key from its table. Raises ValueError."""
    if not isinstance(value, dict) or value.keys() != {"id", "secret"}:
        raise ValueError(f"this is no key; {_FORM}")
    return _key(value["id"], value["secret"])


def keys(value: object) -> list[PersistenceKey]:
    """Return the keys of a list, the one that signs first. Raises ValueError."""
    if not isinstance(value, list) or not 0 < len(value) <= _KEYS_MAX:
        raise ValueError(f"allowed: a list of 1 to {_KEYS_MAX} keys; {_FORM}")
    return _different([key(each) for each in value])


class KeysFile(NamedTuple):
    """An absolute path, and the keys that were read there."""

    path: str
    keys: tuple[PersistenceKey, ...]


def keys_file(value: object) -> KeysFile:
    """Return the file of keys at an absolute path. Raises ValueError: also when others may read it."""
    path = values.file_path(value)
    return KeysFile(path, tuple(read_keys(Path(path))))


def read_keys(path: Path) -> list[PersistenceKey]:
    """Return the keys in a file. Raises ValueError: also when others may read it."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"{values.shown(str(path))} cannot be read: {why}") from error
    if is_open_to_all(mode):
        raise ValueError(f"everybody may read {values.shown(str(path))}, so it holds no secrets; chmod 600 it")
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not 0 < len(lines) <= _KEYS_MAX or any(len(line) != 2 for line in lines):
        raise ValueError(f"{values.shown(str(path))} is no file of keys; allowed: 1 to {_KEYS_MAX} lines of ID SECRET")
    return _different([_key(*line) for line in lines])


def is_open_to_all(mode: int) -> bool:
    """Say whether a file's mode lets everybody read or change it."""
    return bool(mode & (stat.S_IROTH | stat.S_IWOTH))


def exposed(data: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong when the configuration, which everybody may read, holds secrets itself."""
    pools = data.get("pool")
    for at, pool in enumerate(pools if isinstance(pools, list) else []):
        persistence = pool.get("persistence") if isinstance(pool, dict) else None
        if isinstance(persistence, dict) and "keys" in persistence:
            path = ("pool", at, "persistence", "keys")
            yield path, "everybody may read this file, so it holds no secrets; chmod 600 it, or use keys_file"


def _key(name: object, secret: object) -> PersistenceKey:
    if not isinstance(name, str) or not _KEY_ID(name):
        raise ValueError(f"{values.shown(name)} is no key id; allowed: up to 32 letters, digits, dots, - and _")
    if not isinstance(secret, str) or len(secret.encode()) < SECRET_BYTES_MIN:
        raise ValueError(f"the secret of key {name} is too short; allowed: text of {SECRET_BYTES_MIN} bytes or more")
    return PersistenceKey(name, secret.encode())


def _different(found: list[PersistenceKey]) -> list[PersistenceKey]:
    names = [each.id for each in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"there are two keys {name}; give each its own id")
    return found
