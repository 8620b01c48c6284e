"""The table of raw requests and answers, each with what may come of it."""

from __future__ import annotations

from typing import Final

from tests.fuzz.vectors.answers import ANSWER_FIELDS, ANSWER_FRAMING, ORDER, STATUS_LINES
from tests.fuzz.vectors.fields import CONNECTION, FIELDS, HOSTS
from tests.fuzz.vectors.framing import CHUNKS, CODINGS, LENGTHS
from tests.fuzz.vectors.kinds import Vector
from tests.fuzz.vectors.start_line import START_LINE, TARGET

VECTORS: Final[tuple[Vector, ...]] = (
    *START_LINE,
    *TARGET,
    *HOSTS,
    *FIELDS,
    *CONNECTION,
    *LENGTHS,
    *CODINGS,
    *CHUNKS,
    *STATUS_LINES,
    *ANSWER_FIELDS,
    *ANSWER_FRAMING,
    *ORDER,
)

__all__ = ["VECTORS", "Vector"]
