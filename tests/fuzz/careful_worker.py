"""A worker that takes the careful way for every head, to show that the grammar's verdicts are the same.

Responsible for nothing but closing the quick ways before the worker starts. Knows their names in `wire.http1` and in
`worker.common`. Invariant: everything else is the worker that serves.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from lbapp.engine.wire import http1
from lbapp.engine.worker import run

_never: Any = re.compile(rb"(?!)").match


def main() -> int:
    """Run the worker."""
    for quick_way in ("_match_request", "_match_response", "_match_plain_response"):
        assert hasattr(http1, quick_way)
        setattr(http1, quick_way, _never)
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
