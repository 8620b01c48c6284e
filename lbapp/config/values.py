"""Values as operators write them: durations, sizes, numbers, words, names, addresses.

Responsible for reading one value from what TOML gives. Knows nothing of keys or files. Invariant: a value that is refused
is refused with one sentence that says what is allowed instead, whatever its type and length.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from lbapp.model.entities import Bind

_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h)").fullmatch
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_H_MAX: Final = 8760  # a year; a longer wait is a slip of the pen
_SIZE: Final = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB)").fullmatch
_BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_HOST: Final = re.compile(  # labels of at most 63 letters, 253 with the dots between them
    r"(?=[A-Za-z0-9])(?!.{254})[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*(?<=[A-Za-z0-9])"
).fullmatch
_IPV6: Final = re.compile(r"\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\]").fullmatch
_DIGITS_AND_DOTS: Final = re.compile(r"[0-9.]+").fullmatch
_PORT: Final = re.compile(r"[0-9]{1,5}").fullmatch
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}").fullmatch
_PATH_PREFIX: Final = re.compile(r"/[!-~]*").fullmatch
_METHOD: Final = re.compile(r"[A-Z]{1,20}").fullmatch
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_SHOWN_LETTERS_MAX: Final = 60
_WORDS_SEEN_AT_A_GLANCE: Final = 5
_UNIX_PATH_BYTES_MAX: Final = 107  # sun_path of unix(7) less its end
_Word = TypeVar("_Word", bound=Enum)


def shown(value: object) -> str:
    """Return a value as a sentence shows it: on one line, and not at length."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and abs(value) > 10**20:
        return "a number this long"
    text = repr(value) if isinstance(value, str | int | float) else str(value)
    return text if len(text) <= _SHOWN_LETTERS_MAX else f"{text[: _SHOWN_LETTERS_MAX - 4]}...{text[-1]}"


def printable(text: str) -> str:
    """Return text with every character escaped that would end a line or be obeyed by a terminal."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def quoted(text: str) -> str:
    """Return text in double quotes, on one line and not at length."""
    short = text if len(text) <= _SHOWN_LETTERS_MAX else f"{text[: _SHOWN_LETTERS_MAX - 3]}..."
    return printable(json.dumps(short, ensure_ascii=False))


def is_bare_key(text: str) -> bool:
    """Say whether TOML takes a key without quotes."""
    return bool(_BARE_KEY(text))


def either(words: Iterable[str]) -> str:
    """Return `'a', 'b' or 'c'`."""
    *first, last = (repr(word) for word in words)
    return f"{', '.join(first)} or {last}" if first else last


def duration_s(text: object) -> float:
    """Return seconds. Raises ValueError."""
    match = _DURATION(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f'{shown(text)} is not a duration; write a number and a unit, such as "250ms", "5s", "5m" or "1h"'
        )
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > _DURATION_H_MAX * 3600:
        raise ValueError(f'{shown(text)} is too long; allowed: at most "{_DURATION_H_MAX}h"')
    return seconds


def positive_duration_s(text: object) -> float:
    """Return seconds, more than none. Raises ValueError."""
    seconds = duration_s(text)
    if seconds <= 0:
        raise ValueError(f"{shown(text)} is no time at all; allowed: more than 0")
    return seconds


def size_bytes(text: object) -> int:
    """Return bytes; 0 needs no unit. Raises ValueError."""
    if text == "0" or (isinstance(text, int) and not isinstance(text, bool) and text == 0):
        return 0
    match = _SIZE(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f'{shown(text)} is not a size; write a number and a unit of 1024, such as "512B", "64KiB" or "10MiB"'
        )
    return int(match[1]) * _BYTES[match[2]]


def head_size_bytes(text: object) -> int:
    """Return bytes that a head fits into. Raises ValueError."""
    size = size_bytes(text)
    if not 256 <= size <= _BYTES["MiB"]:
        raise ValueError(f'{shown(text)} is out of range; allowed: "256B" to "1MiB"')
    return size


def persistence_size_bytes(text: object) -> int:
    """Return bytes that a table of clients fits into, in whole pages. Raises ValueError."""
    size = size_bytes(text)
    if not _BYTES["MiB"] <= size <= 64 * _BYTES["GiB"]:
        raise ValueError(f'{shown(text)} is out of range; allowed: "1MiB" to "64GiB"')
    return size - size % 4096


def whole_number(lowest: int, highest: int) -> Callable[[object], int]:
    """Return a reader of whole numbers from `lowest` to `highest`. It raises ValueError."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{shown(value)} is not accepted; allowed: a whole number, {lowest} to {highest}")
        if not lowest <= value <= highest:
            which = "large" if value > highest else "small"
            raise ValueError(f"{shown(value)} is too {which}; allowed: {lowest} to {highest}")
        return value

    return read


def word_of(words: type[_Word]) -> Callable[[object], _Word]:
    """Return a reader of the words of an enumeration. It raises ValueError."""

    def read(value: object) -> _Word:
        try:
            return words(value)
        except ValueError as error:
            allowed = [each.value for each in words]
            raise ValueError(
                f"{shown(value)} is not known; allowed: {either(allowed)}{_meant(value, allowed)}"
            ) from error

    return read


def _meant(value: object, allowed: list[str]) -> str:
    """Return a question after the one of many words that was meant, or nothing."""
    if len(allowed) <= _WORDS_SEEN_AT_A_GLANCE or not isinstance(value, str) or len(value) > _SHOWN_LETTERS_MAX:
        return ""
    near = difflib.get_close_matches(value, allowed, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _matching(pattern: Callable[[str], re.Match[str] | None], allowed: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not pattern(value):
            raise ValueError(f"{shown(value)} is not accepted; allowed: {allowed}")
        return value

    return read


name: Final = _matching(_NAME, "1 to 63 letters, digits, dots, dashes and underscores, the first a letter or digit")
path_prefix: Final = _matching(_PATH_PREFIX, 'a path from its slash on, such as "/v1/", in ASCII without spaces')
method: Final = _matching(_METHOD, 'a method in capitals, such as "GET"')


def host_and_port(text: object, *, port_min: int = 1) -> tuple[str, int]:
    """Return (host, port) of `host:port` or `[IPv6]:port`. Raises ValueError."""
    wrong = f'{shown(text)} is not an address; write "host:port" or "[IPv6]:port", with a port from {port_min} to 65535'
    if not isinstance(text, str):
        raise ValueError(wrong)
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT(port) or not port_min <= int(port) <= 65535:
        raise ValueError(wrong)
    try:
        if _IPV6(host):
            return str(IPv6Address(host[1:-1])), int(port)
        if _DIGITS_AND_DOTS(host):
            return str(IPv4Address(host)), int(port)
    except ValueError as error:
        raise ValueError(wrong) from error
    if not _HOST(host):
        raise ValueError(wrong)
    return host, int(port)


def route_host(value: object) -> str:
    """Return the host of a route in lower case, with or without `*.` before it. Raises ValueError."""
    wrong = (
        f'{shown(value)} is not accepted; allowed: a host without port, such as "api.example.com" or "*.example.com"'
    )
    if not isinstance(value, str):
        raise ValueError(wrong)
    try:
        ascii_host = value.removeprefix("*.").encode("ascii" if value.isascii() else "idna").decode()
        if _IPV6(ascii_host):
            return f"[{IPv6Address(ascii_host[1:-1])}]"
    except ValueError as error:
        raise ValueError(wrong) from error
    if not _HOST(ascii_host):
        raise ValueError(wrong)
    return value.lower()


def is_field_name(text: str) -> bool:
    """Say whether a header may have this name."""
    return bool(_FIELD_NAME(text))


def route_headers(value: object) -> dict[str, str]:
    """Return header values by lower-case name. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f'{shown(value)} is not accepted; allowed: a table, such as {{ x-version = "2" }}')
    headers: dict[str, str] = {}
    for header, wanted in value.items():
        if not _FIELD_NAME(header) or header.lower() in headers:
            raise ValueError(f"{shown(header)} is not accepted; allowed: header names, each once in any case")
        if not isinstance(wanted, str) or not wanted.isprintable() or wanted != wanted.strip():
            raise ValueError(
                f"{shown(wanted)} is not accepted for {header}; allowed: text on one line, without ends of space"
            )
        headers[header.lower()] = wanted
    return headers


def retry_statuses(value: object) -> list[int]:
    """Return the statuses for which another server is tried. Raises ValueError."""
    if not isinstance(value, list) or any(each not in (502, 503, 504) or isinstance(each, bool) for each in value):
        raise ValueError(f"{shown(value)} is not accepted; allowed: a list of 502, 503 and 504")
    return value


def file_path(value: object) -> str:
    """Return an absolute path. Raises ValueError."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        raise ValueError(
            f'{shown(value)} is not accepted; allowed: an absolute path, such as "/run/lbapp/control.sock"'
        )
    return value


def socket_path(value: object) -> str:
    """Return the absolute path of a Unix socket. Raises ValueError."""
    path = file_path(value)
    if len(path.encode()) > _UNIX_PATH_BYTES_MAX:
        raise ValueError(f"{shown(path)} is too long for a Unix socket; allowed: at most {_UNIX_PATH_BYTES_MAX} bytes")
    return path


def unix_address(text: str) -> str:
    """Return the path of `unix:/path`. Raises ValueError."""
    path = text.removeprefix("unix:")
    if not path.startswith("/") or not path.isprintable() or len(path.encode()) > _UNIX_PATH_BYTES_MAX:
        raise ValueError(
            f'{shown(text)} is not a Unix socket; write "unix:/path", '
            f"with at most {_UNIX_PATH_BYTES_MAX} bytes in the path"
        )
    return path


def server_address(text: object) -> tuple[str, int]:
    """Return (host, port), or (path, 0) of `unix:/path`. Raises ValueError."""
    if isinstance(text, str) and text.startswith("unix:"):
        return unix_address(text), 0
    return host_and_port(text)


def bind(text: object) -> Bind:
    """Return the address to accept on. Port 0 lets the system choose. Raises ValueError."""
    from lbapp.model.entities import Bind  # the whole model, which those who only read a duration do without

    if isinstance(text, str) and text.startswith("unix:"):
        return Bind(path=unix_address(text))
    host, port = host_and_port(text, port_min=0)
    return Bind(host=host, port=port)


def binds(value: object) -> list[Bind]:
    """Return the addresses of one value or of a list. Raises ValueError."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("the list is empty; allowed: one address or more")
    return [bind(each) for each in values]
