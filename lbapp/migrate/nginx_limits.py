"""Timeouts and sizes of nginx.conf, which are of a place there and of the whole node here.

Responsible for taking the most generous of each, with nginx's own defaults where a file says nothing and lbapp's would be
shorter. Knows nothing of where a place leads. Invariant: no client or server is given less than nginx gave it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate.amounts import duration, nginx_bytes, nginx_seconds, size
from lbapp.migrate.nginx_values import Scope
from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Ledger

_TIMES: Final = {
    "proxy_connect_timeout": ("connect_timeout",),
    "proxy_read_timeout": ("response_timeout", "server_idle_timeout"),
    "proxy_send_timeout": ("server_idle_timeout",),
    "client_body_timeout": ("body_idle_timeout",),
    "client_header_timeout": ("request_head_timeout",),
    "keepalive_timeout": ("client_idle_timeout",),
}
_DEFAULT_S: Final = {"proxy_read_timeout": 60.0, "client_body_timeout": 60.0, "keepalive_timeout": 75.0}
_BODY: Final = "client_max_body_size"
_DEFAULT_BODY: Final = 1 << 20
_HEAD: Final = "large_client_header_buffers"
_DEFAULT_HEAD: Final = (4, 8192)
_HEAD_MIN: Final = 1024  # what lbapp may be told, and 1 KiB is what nginx takes in any case
_HEAD_MAX: Final = 1 << 20


@dataclass
class Limits:
    """What the places say, by lbapp's key: an amount and the directive that says it, None for nginx's own default."""

    ledger: Ledger
    said: dict[str, list[tuple[float, Directive | None]]] = field(default_factory=dict)

    def of_place(self, scope: Scope) -> None:
        """Take what holds in a place from which something is passed on."""
        for word, keys in _TIMES.items():
            found = scope.last(word)
            amount = _DEFAULT_S.get(word) if found is None else nginx_seconds(found.words[0] if found.words else "")
            if amount == 0 and found is not None:
                self.ledger.differs(found.line, "lbapp keeps a connection open as long as [limits] says")
            for key in keys if amount else ():
                self.said.setdefault(key, []).append((amount or 0.0, found))
        self._head(scope)
        found = scope.last(_BODY)
        most = _DEFAULT_BODY if found is None else nginx_bytes(found.words[0] if found.words else "")
        if most is not None:
            # 0 is no limit, in both: so it is more than any other.
            self.said.setdefault("request_body_size_max", []).append((most or float("inf"), found))

    def _head(self, scope: Scope) -> None:
        found = scope.last(_HEAD)
        count, most = _DEFAULT_HEAD
        if found is not None and len(found.words) == 2 and found.words[0].isdigit():
            count, most = int(found.words[0]), nginx_bytes(found.words[1]) or most
        for key, amount in (("head_size_max", count * most), ("uri_size_max", most)):
            self.said.setdefault(key, []).append((max(_HEAD_MIN, min(amount, _HEAD_MAX)), found))

    def put(self, draft: Table) -> None:
        """Say the most generous of each."""
        for key, found in self.said.items():
            most = max(amount for amount, _ in found)
            written = _written(key)(most)
            sources = dict.fromkeys(each.line.number for _, each in found if each is not None)
            draft.table("limits").put(key, written, *sources)
            for amount, each in found:
                if each is not None and amount != most:
                    self.ledger.differs(each.line, f"{key} is of the whole node; the most generous is taken, {written}")


def _written(key: str) -> Callable[[float], str]:
    if key.endswith("_size_max"):
        return lambda amount: "0B" if amount == float("inf") else size(int(amount))
    return duration
