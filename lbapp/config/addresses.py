"""Addresses without a port, as the files of `lbapp announce`, `lbapp dns` and `lbapp handoff` have them.

Responsible for reading one address, and a list of them. Knows nothing of keys, or of what an address is for. Invariants: an
address comes out as Python writes it, however it was written; an interface behind % is one that a kernel could have, as it gets
into the files of daemons.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from lbapp.config import values

_INTERFACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}").fullmatch


def ip(value: object) -> IPv4Address | IPv6Address:
    """Return an address, with its interface if one is named."""
    try:
        found = ip_address(value if isinstance(value, str) else "")
    except ValueError as error:
        wrong = f"{values.shown(value)} is not an address; names and ports have no place here"
        raise ValueError(f'{wrong}: write such as "198.51.100.10" or "2001:db8::10"') from error
    scope = getattr(found, "scope_id", None)  # Python takes anything for one
    if scope is not None and not _INTERFACE(scope):
        raise ValueError(f"{values.shown(value)} is not an address; after % the name of an interface is allowed")
    return found


def interface(value: object) -> str:
    """Return the name of an interface."""
    if not isinstance(value, str) or not _INTERFACE(value):
        raise ValueError(f'{values.shown(value)} is not the name of an interface; write such as "eth0"')
    return value


def host(value: object) -> str:
    """Return an address, with its interface if one is named, as text."""
    return str(ip(value))


def host_of_no_link(value: object) -> str:
    """Return an address as text; its interface stands elsewhere."""
    found = ip(value)
    if getattr(found, "scope_id", None) is not None:
        raise ValueError(f"{values.shown(value)} names an interface, which stands elsewhere; write the address alone")
    return str(found)


def destination(value: object) -> str:
    """Return an address that others can send to, be it on this machine alone."""
    found = ip(value)
    if found.is_unspecified or found.is_multicast or getattr(found, "scope_id", None) is not None:
        raise ValueError(f"{values.shown(value)} is no address that others can send to; write the one of a machine")
    return str(found)


def distant(value: object) -> str:
    """Return an address that other machines can send to."""
    found = destination(value)
    if ip_address(found).is_loopback:
        raise ValueError(f"{values.shown(value)} is no address that others can send to, as each has it for itself")
    return found


def several(read: Callable[[object], str], most: int) -> Callable[[object], tuple[str, ...]]:
    """Return the reader of a list of up to so many addresses, each of them once."""

    def read_all(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not 0 < len(value) <= most:
            allowed = f"a list of 1 to {most} addresses"
            example = 'such as ["198.51.100.10", "2001:db8::10"]'
            raise ValueError(f"{values.shown(value)} is not accepted; allowed: {allowed}, {example}")
        found = tuple(map(read, value))
        for each in found:
            if found.count(each) > 1:
                raise ValueError(f"{each} stands here twice; remove one")
        return found

    return read_all


def version_of(value: object) -> int | None:
    """Return 4 or 6, also of an address with the length of a prefix; None: it is none."""
    try:
        return ip_address(value.partition("/")[0]).version if isinstance(value, str) else None
    except ValueError:
        return None


def interface_of(value: object) -> str:
    """Return the interface that an address names; empty: it names none."""
    return value.partition("%")[2] if isinstance(value, str) else ""


def is_of_link(value: object) -> bool:
    """Say whether an address is one of many of its kind, each of another interface (fe80::/10)."""
    return version_of(value) == 6 and ip_address(str(value).partition("/")[0]).is_link_local
