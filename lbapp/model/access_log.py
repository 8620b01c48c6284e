"""The access log, as configured.

Responsible for where lines go and what they look like. Knows nothing of how a line is made or written. Invariant: nothing is
logged that was not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class LogFormat(str, Enum):
    """What a line looks like."""

    JSON = "json"  # one object a line, with every figure
    COMBINED = "combined"  # as Apache and nginx write it
    HTTPLOG = "httplog"  # as HAProxy writes it with `option httplog`


class LogTarget(str, Enum):
    """Where lines go."""

    OFF = "off"
    STDOUT = "stdout"  # under systemd: to the journal
    FILE = "file"
    SYSLOG = "syslog"  # a datagram a line to a Unix socket


@dataclass(frozen=True, slots=True)
class AccessLog:
    """`[access_log]`. `path`: of the file, or of syslog's socket. `headers`: of requests that a JSON line has, in lower case."""

    target: LogTarget = LogTarget.OFF
    path: str = ""
    format: LogFormat = LogFormat.JSON
    headers: tuple[str, ...] = ()


NO_LOG = AccessLog()
