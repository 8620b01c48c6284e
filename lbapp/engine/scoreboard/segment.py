"""The shared memory of one engine.

Responsible for making the segment (an anonymous file that lives as long as somebody holds it), for mapping it in a worker,
and for refusing one that another version wrote. Knows nothing of what the cells mean.

Invariant: the segment never shrinks or moves while it is mapped; a cell is read and written with one aligned 8-byte access.
"""

from __future__ import annotations

import mmap
import os
import secrets
from types import TracebackType

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.layout import Layout
from lbapp.model.errors import StartError
from lbapp.model.histogram import HISTOGRAM_BYTES


class Segment:
    """A mapped scoreboard: `cells` are its signed 8-byte integers, `layout` says which is which."""

    def __init__(self, fd: int, layout: Layout) -> None:
        self.fd = fd
        self.layout = layout
        self._map = mmap.mmap(fd, layout.cells * 8)
        self._bytes = memoryview(self._map)
        self.cells: memoryview[int] = self._bytes.cast("q")

    @classmethod
    def create(cls, layout: Layout) -> Segment:
        """Make a zeroed segment. Raises StartError when there is no memory for it."""
        fd = os.memfd_create("lbapp-scoreboard", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, layout.cells * 8)
            segment = cls(fd, layout)
        except OSError as error:
            os.close(fd)
            raise StartError(f"no memory for the scoreboard ({layout.cells * 8} bytes): {error.strerror}") from error
        for cell, value in (
            (at.HEADER_VERSION, at.VERSION),
            (at.HEADER_SLOTS, layout.slots),
            (at.HEADER_LISTENERS, layout.listeners),
            (at.HEADER_POOLS, layout.pools),
            (at.HEADER_SERVERS, layout.servers),
            (at.HEADER_SEED, secrets.randbits(62)),
            (at.HEADER_MAGIC, at.MAGIC),
        ):
            segment.cells[cell] = value
        return segment

    @classmethod
    def attach(cls, fd: int) -> Segment:
        """Map the segment behind `fd`. Raises StartError when it is not one of this version."""
        header = memoryview(os.pread(fd, at.HEADER_CELLS * 8, 0)).cast("q")
        if len(header) < at.HEADER_CELLS or header[at.HEADER_MAGIC] != at.MAGIC:
            raise StartError("the shared memory is not an lbapp scoreboard")
        if header[at.HEADER_VERSION] != at.VERSION:
            raise StartError(f"the scoreboard has version {header[at.HEADER_VERSION]}, this lbapp needs {at.VERSION}")
        return cls(
            fd,
            Layout(
                slots=header[at.HEADER_SLOTS],
                listeners=header[at.HEADER_LISTENERS],
                pools=header[at.HEADER_POOLS],
                servers=header[at.HEADER_SERVERS],
            ),
        )

    def histogram(self, cell: int) -> memoryview:
        """Return the bytes of the histogram that starts at `cell`, live."""
        return self._bytes[cell * 8 : cell * 8 + HISTOGRAM_BYTES]

    def close(self) -> None:
        """Unmap. The memory goes when the last process has closed it."""
        self.cells.release()
        self._bytes.release()
        self._map.close()
        os.close(self.fd)

    def __enter__(self) -> Segment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
