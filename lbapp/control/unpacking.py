"""Unpacking a .tar.gz that somebody has sent.

Responsible for the bytes of its files, by name. Knows nothing of what they are. Reads the plain kind only that `lbapp bundle` and
`tar` write of such files (POSIX.1-1988 ustar): the standard library's reader takes a dozen kinds more, and some of them for ever.

Invariants: nothing is written to disk; no more is unpacked than is allowed, however much there is; a name is one of a file in
the one folder that is asked for; the time it takes is in proportion to what is unpacked.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

_BLOCK: Final = 512
_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31  # of zlib: a gzip file
_FILE: Final = (b"0", b"\0")
_FOLDER: Final = b"5"
_match_octal: Final = re.compile(rb" *+([0-7]{1,11}+)[ \0]*").fullmatch


def unpack(data: bytes, folder: str, bytes_max: int) -> dict[str, bytes]:
    """Return the files of `folder`, by their names in it. Raises ValueError with a sentence that says what it is instead."""
    plain = _decompressed(data, bytes_max)
    files: dict[str, bytes] = {}
    at = 0
    while (block := plain[at : at + _BLOCK]).strip(b"\0"):
        path, kind, size = _header(block)
        at += _BLOCK
        if kind == _FOLDER and path.rstrip("/") == folder:
            continue
        name = path.removeprefix(f"{folder}/")
        if name == path or name in ("", ".", "..") or "/" in name or "\\" in name:
            raise ValueError(f"it has {path!r} in it, which is no file of the folder {folder}")
        if kind not in _FILE:
            raise ValueError(f"{name} is no plain file")
        if at + size > len(plain):
            raise ValueError("it is cut off")
        if name in files:
            raise ValueError(f"it has {name} in it twice")
        files[name] = plain[at : at + size]
        at += -(-size // _BLOCK) * _BLOCK
    if len(block) < _BLOCK:
        raise ValueError("it is cut off")
    return files


def _decompressed(data: bytes, bytes_max: int) -> bytes:
    if not data.startswith(_GZIP):
        raise ValueError("it is no .tar.gz")
    stream = zlib.decompressobj(_GZIP_BITS)
    try:
        plain = stream.decompress(data, bytes_max + 1)
    except zlib.error as error:
        raise ValueError("it is damaged") from error
    if len(plain) > bytes_max:
        raise ValueError(f"it has more than {bytes_max >> 20} MiB in it")
    if not stream.eof:
        raise ValueError("it is cut off")
    if stream.unused_data.strip(b"\0"):
        raise ValueError("there is something behind its end")
    return plain


def _header(block: bytes) -> tuple[str, bytes, int]:
    """Return path, kind and size of the file that a block stands before. Raises ValueError."""
    if len(block) < _BLOCK:
        raise ValueError("it is cut off")
    if block[257:262] != b"ustar":
        raise ValueError("it is no .tar.gz")
    if sum(block[:148]) + 8 * ord(" ") + sum(block[156:]) != _octal(block[148:156]):
        raise ValueError("it is damaged")
    path = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:
        path = block[345:500].partition(b"\0")[0] + b"/" + path
    return path.decode("ascii", "backslashreplace"), block[156:157], _octal(block[124:136])


def _octal(field: bytes) -> int:
    match = _match_octal(field)
    if match is None:
        raise ValueError("it is damaged")
    return int(match[1], 8)
