"""The base of every table of the schema.

Responsible for how strict a table is. Knows nothing of any key. Invariant: unknown keys are errors, and no value is converted on
the quiet.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

STRICT: Final = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class Table(BaseModel):
    """A table of the file. Unknown keys are errors."""

    model_config = STRICT
