"""Lines of the log for tests.

Responsible for whole lines as an engine sends them. Knows nothing of sockets.
"""

from __future__ import annotations

from typing import Any, cast

from lbapp.control.looking import LogLine
from lbapp.tui.exchanges import ExchangeRow, exchange_row


def log_line(**more: Any) -> LogLine:
    """Return the line of an exchange that went well, but for what is given."""
    line: dict[str, Any] = {
        "time": "2026-11-23T14:22:07.911Z",
        "client": "192.0.2.9",
        "port": 51322,
        "listener": "web",
        "method": "GET",
        "host": "shop.example",
        "target": "/api/v1/items?page=2",
        "version": "1.1",
        "status": 200,
        "pool": "app",
        "server": "app/s1",
        "bytes_in": 300,
        "bytes_out": 8_300,
        "queue_us": 0,
        "connect_us": 1_000,
        "first_byte_us": 11_000,
        "total_us": 14_000,
        "attempts": 1,
        "persistence": None,
        "outcome": "completed",
        "ended_by": None,
        "phase": None,
    }
    return cast(LogLine, line | more)


def row(**more: Any) -> ExchangeRow:
    """Return the row of such a line."""
    return exchange_row(log_line(**more))
