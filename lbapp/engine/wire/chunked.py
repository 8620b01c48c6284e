"""The chunked transfer coding, both ways.

Responsible for taking chunk framing off and putting it on again. Knows nothing of sockets or of whose body it is.
Chunk extensions are checked and dropped, as RFC 9112 section 7.1.1 allows; trailers are checked and kept.

Source: RFC 9112 section 7.1. Invariants: the decoder holds at most one incomplete line or trailer section, whatever the
size of a chunk; what it takes has one meaning to every strict reader; after an error it takes nothing more.
"""

from __future__ import annotations

import re
from typing import Final

from lbapp.engine.wire.grammar import TOKEN, has_sound_lines
from lbapp.model.limits import CHUNK_LINE_BYTES_MAX

TRAILER_BYTES_MAX: Final = 8 * 1024
LAST_CHUNK: Final = b"0\r\n\r\n"

_QUOTED: Final = rb'"(?>(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*)"'
_EXTENSIONS: Final = rb"(?>(?:[\t ]*+;[\t ]*+%b++(?>(?:[\t ]*+=[\t ]*+(?:%b++|%b))?))*)" % (TOKEN, TOKEN, _QUOTED)
_match_line: Final = re.compile(rb"([0-9A-Fa-f]{1,15}+)" + _EXTENSIONS + rb"\r\n").match
_may_become_line: Final = re.compile(rb"[0-9A-Fa-f]{0,15}+(?>(?:(?<=.)[\t ;][\t\x20-\x7e\x80-\xff]*+)?)\r?").fullmatch
_are_fields: Final = re.compile(rb"(?>(?:%b++:[^\r]*+\r\n)+)" % TOKEN).fullmatch
# What frames or routes a message, or says who may send it, comes too late in a trailer (RFC 9110 section 6.5.1).
_find_forbidden: Final = re.compile(
    rb"(?:\A|\n)(?:authorization|connection|content[_-]encoding|content[_-]length|content[_-]range|content[_-]type|cookie"
    rb"|expect|forwarded|host|http2[_-]settings|keep[_-]alive|max[_-]forwards|proxy[_-]authorization|proxy[_-]connection"
    rb"|set[_-]cookie|te|trailer|transfer[_-]encoding|upgrade|via|x[_-]forwarded[_-][a-z]++|x[_-]real[_-]ip):",
    re.IGNORECASE,
).search


class ChunkError(Exception):
    """The bytes are not a chunked body."""


class ChunkedDecoder:
    """Takes the framing off a chunked body, in whatever parts it arrives.

    `is_done` after the last chunk and its trailers; then `trailers` holds their lines and `rest` what came behind.
    """

    __slots__ = ("_held", "_is_behind_chunk", "_is_broken", "_is_in_trailers", "_left", "is_done", "rest", "trailers")

    def __init__(self) -> None:
        self._held = b""
        self._left = 0  # bytes of the present chunk to come
        self._is_behind_chunk = False  # its CRLF is next
        self._is_in_trailers = False
        self._is_broken = False
        self.is_done = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take more bytes and return the parts of the body in them. Raises ChunkError, and then on every call."""
        if self.is_done:
            self.rest += data
            return []
        if self._is_broken:
            raise ChunkError("the body was broken before")
        if self._held:
            data = self._held + data
            self._held = b""
        parts: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left:
                part = data[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                self._is_behind_chunk = not self._left
                continue
            if not self._is_behind_chunk and not self._is_in_trailers:
                at = self._behind_whole_chunks(data, at, parts)
            after = self._behind_framing(data, at)
            if after < 0:
                self._held = data[at:]
                break
            at = after
        return parts

    def _behind_whole_chunks(self, data: bytes, at: int, parts: list[bytes]) -> int:
        """Take the chunks that are there from line to CRLF, in one step each, and return the offset behind them."""
        while (match := _match_line(data, at)) is not None:
            start = match.end()
            end = start + int(match[1], 16)
            if end == start or start - at > CHUNK_LINE_BYTES_MAX or not data.startswith(b"\r\n", end):
                break
            parts.append(data[start:end])
            at = end + 2
        return at

    def _behind_framing(self, data: bytes, at: int) -> int:
        """Take the framing that is due at `at` and return the offset behind it; -1: more is needed."""
        if self._is_in_trailers:
            return self._behind_trailers(data, at)
        if self._is_behind_chunk:
            if not b"\r\n".startswith(data[at : at + 2]):
                raise self._broken("a chunk is longer than its size says")
            if len(data) < at + 2:
                return -1
            self._is_behind_chunk = False
            return at + 2
        match = _match_line(data, at)
        if match is not None and match.end() - at <= CHUNK_LINE_BYTES_MAX:
            self._left = int(match[1], 16)
            self._is_in_trailers = not self._left
            return match.end()
        line = data[at : at + CHUNK_LINE_BYTES_MAX]
        if len(line) == CHUNK_LINE_BYTES_MAX and b"\n" not in line:
            raise self._broken(f"a chunk size line is longer than {CHUNK_LINE_BYTES_MAX} bytes")
        if not _may_become_line(line):
            raise self._broken("a chunk does not begin with a hexadecimal size ended by CRLF")
        return -1

    def _behind_trailers(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            return self._end(data, at + 2)
        end = data.find(b"\r\n\r\n", at)
        trailers = data[at:] if end < 0 else data[at : end + 2]
        if len(trailers) > TRAILER_BYTES_MAX:
            raise self._broken(f"the trailers are larger than {TRAILER_BYTES_MAX} bytes")
        if not has_sound_lines(trailers):
            raise self._broken("a trailer does not end in CRLF, or holds a control character")
        if end < 0:
            return -1
        if not _are_fields(trailers):
            raise self._broken("the trailers are not field lines")
        if _find_forbidden(trailers):
            raise self._broken("a field that may not stand in a trailer")
        self.trailers = trailers
        return self._end(data, end + 4)

    def _end(self, data: bytes, at: int) -> int:
        self.is_done = True
        self.rest = data[at:]
        return len(data)

    def _broken(self, reason: str) -> ChunkError:
        self._is_broken = True
        return ChunkError(reason)


def encode_chunk(data: bytes) -> bytes:
    """Return one chunk. `data` must not be empty: an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def encode_last_chunk(trailers: bytes) -> bytes:
    """Return the end of a chunked body; `trailers` are whole lines or empty."""
    return b"0\r\n" + trailers + b"\r\n"
