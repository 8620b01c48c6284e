"""Amounts of other load balancers in lbapp's words: times, sizes, names.

Responsible for reading and writing them. Knows nothing of where they stand. Invariant: what cannot be read is None, and no
guess.
"""

from __future__ import annotations

import re
from typing import Final

_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6, "d": 8.64e7}
_NGINX_S: Final = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "M": 2592000.0,
    "y": 31536000.0,
}
_SIZES: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def seconds(text: str) -> float | None:
    """Return the seconds of a time of HAProxy such as `5s` or `5000`, which is in ms; None: it is no time."""
    match = re.fullmatch(r"([0-9]{1,9})(us|ms|s|m|h|d)?", text)
    return int(match[1]) * _MS[match[2] or "ms"] / 1000 if match else None


def nginx_seconds(text: str) -> float | None:
    """Return the seconds of a time of nginx such as `30`, which is in s, `1m30s` or `500ms`; None: it is no time."""
    parts = re.findall(r"([0-9]{1,9})(ms|[smhdwMy])?\s*", text)
    if not parts or not re.fullmatch(r"(?:[0-9]{1,9}(?:ms|[smhdwMy])?\s*)+", text):
        return None
    return sum(int(amount) * _NGINX_S[unit or "s"] for amount, unit in parts)


def nginx_bytes(text: str) -> int | None:
    """Return the bytes of a size of nginx such as `10m`, `8k` or `0`; None: it is no size."""
    match = re.fullmatch(r"([0-9]{1,9})([kmg]?)", text.lower())
    return int(match[1]) * _SIZES[match[2]] if match else None


def duration(amount: float) -> str:
    """Return seconds as lbapp writes them."""
    return f"{amount:g}s" if 1 <= amount < 1e6 else f"{amount / 3600:g}h" if amount >= 1e6 else f"{amount * 1000:g}ms"


def size(amount: int) -> str:
    """Return bytes as lbapp writes them."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if amount and amount % factor == 0:
            return f"{amount // factor}{unit}"
    return f"{amount}B"


def name(text: str) -> str:
    """Return a name that lbapp takes."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text).lstrip("._-")[:63] or "x"


def below(folder: str, file: str) -> str:
    """Return where a file is that is named from a folder; what begins with `@` is no file, and stays."""
    return file if file.startswith(("/", "@")) or not folder else f"{folder.rstrip('/')}/{file}"
