"""What every table of the configuration file has in common.

Responsible for the base of all tables of the schema. Knows nothing of any key. Invariant: unknown keys are errors, values are
never converted behind the operator's back, and a table that was read does not change.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

STRICT: Final = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class Table(BaseModel):
    """A table of the file. Unknown keys are errors."""

    model_config = STRICT
