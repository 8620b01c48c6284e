"""What a request is hashed by: a field, a cookie, the path, or a parameter of the query.

Responsible for finding it in a head that was parsed. Knows nothing of servers. Invariant: what is found is taken as it came,
byte for byte, so that every node of a pool finds the same; a request without it has no key, whatever else it has.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lbapp.engine.wire.cookies import field_pattern, take_cookie
from lbapp.engine.wire.heads import RequestHead
from lbapp.model.hashing import Hash, KeyKind

KeyFinder = Callable[[RequestHead], bytes]


def key_finder(settings: Hash) -> KeyFinder | None:
    """Return what finds the key of a request, empty where it has none; None: it is the client's address."""
    name = settings.name.encode()
    match settings.key:
        case KeyKind.HEADER:
            find = field_pattern(name).search
            return lambda head: found[1] if (found := find(head.fields)) is not None else b""
        case KeyKind.COOKIE:
            wanted = name + b"="
            return lambda head: _cookie(head.fields, name) if wanted in head.fields else b""
        case KeyKind.PATH:
            return lambda head: head.target.partition(b"?")[0]
        case KeyKind.QUERY:
            find_value = re.compile(rb"[?&]%b=([^&]*)" % re.escape(name)).search
            return lambda head: found[1] if (found := find_value(head.target)) is not None else b""
        case _:
            return None


def _cookie(fields: bytes, name: bytes) -> bytes:
    values, _ = take_cookie(fields, name)
    return values[0] if values else b""
