"""Which part of a filter the engine can answer, so that what is rare among thousands a second is not missed.

Responsible for turning terms into a query of `GET /v1/log`. Knows nothing of streams.

Invariants: the engine is never asked for less than the filter wants, but for a path: `path:/x` has it anywhere, and the engine is
asked for those that begin so; a filter with `or`, quotes or an unfinished term is not taken apart; every term is checked again
by whoever shows the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

_TERM: Final = re.compile(r"([a-z]+)(<=|>=|<|>|=|:)(\S+)", re.IGNORECASE)
_TIME: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s)?", re.IGNORECASE)
_STATUS: Final = re.compile(r"[1-5]\d\d")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the engine is asked for, and the terms that are left to be looked at here."""

    query: dict[str, str]
    here: list[str]

    @property
    def told(self) -> str:
        """Both in words; empty when there is nothing to tell."""
        engine = " ".join(f"{name}={value}" for name, value in self.query.items())
        parts = [f"engine: {engine}"] if engine else []
        here = " ".join(self.here) if engine else "all of it"  # which stands beside this anyway
        return "  ".join([*parts, f"here: {here}"] if self.here else parts)


def ask_engine(text: str, base: Mapping[str, str], pools: Iterable[str], servers: Iterable[str]) -> Asked:
    """Return what a filter asks of the engine beside `base`. `pools`, `servers`: the names there are, POOL/SERVER."""
    terms = [term for term in text.split() if term.casefold() != "and"]
    if any(term.casefold() == "or" or '"' in term or term.startswith("/") for term in terms):
        return Asked(dict(base), [text.strip()])
    found: dict[str, str] = {}
    here = [term for term in terms if not _understood(term, found, pools, servers)]
    if "slower_ms" in base and "slower_ms" in found:
        found["slower_ms"] = max(base["slower_ms"], found["slower_ms"], key=float)
    return Asked({**base, **found}, here)


def _understood(term: str, found: dict[str, str], pools: Iterable[str], servers: Iterable[str]) -> bool:
    """Say whether the engine understands a term; it stands in `found` then."""
    match = _TERM.fullmatch(term)
    if match is None:
        return False
    name, sign, value = match[1].casefold(), match[2], match[3]
    if name == "status":
        return _status(sign, value, found)
    if name == "time" and sign in (">", ">=") and (time := _TIME.fullmatch(value)):
        milliseconds = float(time[1]) * (1000 if (time[2] or "").casefold() == "s" else 1)
        found["slower_ms"] = f"{max(milliseconds, float(found.get('slower_ms', '0'))):g}"
        return "e" not in found["slower_ms"] or not found.pop("slower_ms")
    if sign not in ("=", ":") or name in found:
        return False
    if name in ("pool", "server"):
        value = _only(value, sign, pools if name == "pool" else servers)
    elif name == "path":
        value = value if sign == ":" and value.startswith("/") and not value.endswith("/") else ""
    else:
        value = value if name == "client" and sign == "=" and _is_address(value) else ""
    if value:
        found[name] = value
    return bool(value)


def _only(value: str, sign: str, names: Iterable[str]) -> str:
    """Return the one name that a term can mean; empty when there are none or several."""
    wanted = value.casefold()
    meant = [name for name in names if (name.casefold() == wanted if sign == "=" else wanted in name.casefold())]
    return meant[0] if len(meant) == 1 else ""


def _status(sign: str, value: str, found: dict[str, str]) -> bool:
    if not _STATUS.fullmatch(value):
        return False
    number = int(value)
    low, _, high = found.get("status", "100-599").partition("-")
    bounds = {
        ">=": (number, 599),
        ">": (number + 1, 599),
        "<": (100, number - 1),
        "<=": (100, number),
        "=": (number, number),
        ":": (number, number),
    }[sign]
    lowest, highest = max(int(low), bounds[0]), min(int(high), bounds[1])
    if not 100 <= lowest <= highest <= 599:
        return False
    found["status"] = f"{lowest}-{highest}"
    return True


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True
