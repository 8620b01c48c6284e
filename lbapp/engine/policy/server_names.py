"""Which of several things a server's name stands for: certificates, and routes of TCP listeners.

Responsible for matching names. Knows nothing of certificates, pools or sockets. Invariant: the case of letters and a final dot
make no difference; where two match, the more exact one of certificates wins, and the first of routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class CertificateNames(Generic[_T]):
    """What certificates are for. A wildcard stands for one whole label (RFC 6125 6.4.3)."""

    def __init__(self, named: Iterable[tuple[Iterable[str], _T]]) -> None:
        self._by_name: dict[str, _T] = {}
        for names, thing in named:
            for name in names:
                self._by_name.setdefault(_plain(name), thing)

    def find(self, name: str) -> _T | None:
        """Return what is for a name; the first given where several are."""
        name = _plain(name)
        found = self._by_name.get(name)
        if found is not None:
            return found
        _, dot, parent = name.partition(".")
        return self._by_name.get(f"*.{parent}") if dot else None


class RouteNames(Generic[_T]):
    """Routes by name, in their order. A wildcard stands for one label or more, as it does for the hosts of http routes."""

    def __init__(self, routes: Iterable[tuple[str, _T]]) -> None:
        self._routes = [(_plain(name), thing) for name, thing in routes]

    def find(self, name: str) -> _T | None:
        """Return the first that takes a name, or None."""
        name = _plain(name)
        for wanted, thing in self._routes:
            if wanted == name or (wanted.startswith("*.") and name.endswith(wanted[1:]) and len(name) >= len(wanted)):
                return thing
        return None


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")
