"""`[listener.tracing]`: ids by which a request is found again.

Responsible for these keys, and for what makes no sense between them. Knows nothing of requests. Invariant: what is returned to
clients is also passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator

from lbapp.config import values
from lbapp.config.lines import Path
from lbapp.config.table import Table
from lbapp.model.tracing import NO_TRACING, Accept, Tracing


class TracingTable(Table):
    """`[listener.tracing]`."""

    request_id: bool = NO_TRACING.request_id
    traceparent: bool = NO_TRACING.traceparent
    accept: Annotated[Accept, BeforeValidator(values.word_of(Accept))] = NO_TRACING.accept
    answer: bool = NO_TRACING.answer

    def to_model(self) -> Tracing:
        """Return the settings."""
        return Tracing(self.request_id, self.traceparent, self.accept, self.answer)


def tracing_rules(path: Path, listener: dict[str, object]) -> Iterator[tuple[Path, str]]:
    """Yield what does not hold between the keys. Works on data of any shape."""
    table = listener.get("tracing")
    if isinstance(table, dict) and table.get("answer") is True and table.get("request_id") is not True:
        yield (*path, "tracing", "answer"), "there is no id to answer with; set request_id = true, or remove it"
