"""`[access_log]`: where lines go, and what they look like.

Responsible for these keys, for turning them into the model, and for what makes no sense between them. Knows nothing of files or
lines. Invariant: a target names all that is needed to write to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from lbapp.config import values
from lbapp.config.lines import Path as KeyPath
from lbapp.config.table import Table
from lbapp.model.access_log import AccessLog, LogFormat, LogTarget

SYSLOG_SOCKET: Final = "/dev/log"
_HEADERS_MAX: Final = 16
_WITH_PATH: Final = (LogTarget.FILE, LogTarget.SYSLOG)


def _target(value: object) -> tuple[LogTarget, str]:
    allowed = 'write "off", "stdout", "file:/var/log/lbapp/access.log", "syslog" or "syslog:/path/of/socket"'
    if isinstance(value, str):
        word, colon, path = value.partition(":")
        for target in LogTarget:
            if word == target.value and bool(colon) <= (target in _WITH_PATH):
                if target is LogTarget.SYSLOG and not colon:
                    return target, SYSLOG_SOCKET
                if (path.startswith("/") and "\0" not in path) or target not in _WITH_PATH:
                    return target, path
    raise ValueError(f"{values.shown(value)} is no place to log to; {allowed}")


def _headers(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > _HEADERS_MAX:
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: a list of up to {_HEADERS_MAX} header names")
    for each in value:
        if not isinstance(each, str) or not values.is_field_name(each):
            raise ValueError(f"{values.shown(each)} is not the name of a header")
    return [each.lower() for each in value]


class AccessLogTable(Table):
    """`[access_log]`."""

    to: Annotated[tuple[LogTarget, str], BeforeValidator(_target)] = (LogTarget.OFF, "")
    format: Annotated[LogFormat, BeforeValidator(values.word_of(LogFormat))] = LogFormat.JSON
    headers: Annotated[list[str], BeforeValidator(_headers)] = Field(default_factory=list)

    def to_model(self) -> AccessLog:
        """Return the settings under the model's names."""
        target, path = self.to
        return AccessLog(target, path, self.format, tuple(self.headers))


def access_log_rules(table: object) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not hold between the keys. Works on data of any shape."""
    if not isinstance(table, dict):
        return
    settings: dict[str, Any] = table
    if settings.get("headers") and settings.get("format", LogFormat.JSON.value) != LogFormat.JSON.value:
        yield ("access_log", "headers"), "only the format 'json' has room for headers of your choice; remove it"
