"""What a route does with a request: which pool of a split, where a redirect leads, what becomes of a path.

Responsible for these decisions, on bytes that the wire has found sound. Knows nothing of connections or pools beyond names.

Invariants: a client stays on its side of a split for as long as that pool has a share and is open, and a change of weights
moves no more clients than it has to; a redirect names its authority itself, so a path can never become one; a changed path
begins with exactly one slash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

from lbapp.model.actions import DEFAULT_PORT_OF, PrefixChange, Redirect, Share

_POSITIONS: Final = 1 << 64
_VARIABLE: Final = re.compile(rb"\{(?:path|host)\}")


def split_salt(shares: Sequence[Share]) -> bytes:
    """Return what keeps one split's clients apart from another's: routes that split between the same pools agree."""
    return blake2b("\n".join(sorted(share.pool for share in shares)).encode(), digest_size=16).digest()


def client_position(client_key: bytes, salt: bytes) -> int:
    """Return where a client stands in a split, 0 to 2**64 - 1: the same on every node, whatever the weights."""
    return int.from_bytes(blake2b(client_key, digest_size=8, key=salt).digest(), "big")


def choose_share(shares: Sequence[Share], position: int, is_open: Callable[[str], bool]) -> str | None:
    """Return the pool at `position` (0 to 2**64 - 1) of a split; None when no pool with a share is open.

    Nodes agree whose shares stand in the same order.
    When that pool is closed, its clients go to the others by their weights, and nobody else moves.
    """
    chosen = _at(shares, position)
    if chosen is None or is_open(chosen):
        return chosen
    rest = [share for share in shares if share.pool != chosen and is_open(share.pool)]
    # Another position: those who stood in one pool's range stand close together.
    again = int.from_bytes(blake2b(position.to_bytes(8, "big"), digest_size=8).digest(), "big")
    return _at(rest, again)


def _at(shares: Sequence[Share], position: int) -> str | None:
    total = sum(share.weight for share in shares)
    left = position * total // _POSITIONS
    for share in shares:
        if left < share.weight:
            return share.pool
        left -= share.weight
    return None


def change_path(change: PrefixChange, target: bytes) -> bytes:
    """Return a request target with the prefix of its path replaced, in whole segments; as it was where it has none.

    `prefix` and `by` end in no slash.
    """
    prefix = change.prefix.encode()
    if not target.startswith(prefix):
        return target
    rest = target[len(prefix) :]
    if rest[:1] not in (b"", b"/", b"?") or not target.startswith(b"/"):
        return target
    if not change.by and not rest.startswith(b"/"):
        return b"/" + rest
    changed = change.by.encode() + rest
    return b"/" + changed.lstrip(b"/") if changed.startswith(b"//") else changed


def location_of(redirect: Redirect, scheme: str, host: bytes, target: bytes) -> bytes | None:
    """Return where a redirect leads; None when it leads to what was asked for, or nowhere as there is no host.

    `host` as the client sent it, found sound, with or without port; `target` in origin-form or `*`.
    """
    if not host and (redirect.host is None or "{host}" in f"{redirect.host}{redirect.path}"):
        return None
    name, port = _split_port(host)
    path, mark, query = target.partition(b"?")
    if path == b"*":
        path = b"/"
    new_scheme = redirect.scheme or scheme
    new_name = name if redirect.host is None else redirect.host.encode().replace(b"{host}", name)
    authority = new_name + _port_of(redirect, new_scheme == scheme, port, new_scheme)
    if redirect.path is None:
        new_target = path + mark + query
    else:
        new_target = _fill(redirect.path, path, name)
        if b"?" not in new_target:
            new_target += mark + query
    new_scheme_bytes = new_scheme.encode()
    was = (scheme.encode(), name.lower() + _port_text(port, scheme), target)
    if (new_scheme_bytes, authority.lower(), new_target) == was:
        return None
    return b"%b://%b%b" % (new_scheme_bytes, authority, new_target)


def _fill(template: str, path: bytes, host: bytes) -> bytes:
    """Fill in a path's template; a path brings its slash with it."""
    values = {b"{path}": path, b"{host}": host}
    text = template.replace("/{path}", "{path}").encode()
    return _VARIABLE.sub(lambda match: values[match[0]], text)


def _split_port(host: bytes) -> tuple[bytes, bytes]:
    if host.endswith(b"]") or b":" not in host:
        return host, b""
    name, _, port = host.rpartition(b":")
    return name, port


def _port_of(redirect: Redirect, is_same_scheme: bool, port: bytes, new_scheme: str) -> bytes:
    if redirect.port is not None:
        return _port_text(b"%d" % redirect.port, new_scheme)
    # Another scheme or host is served at a port of its own.
    return _port_text(port, new_scheme) if is_same_scheme and redirect.host is None else b""


def _port_text(port: bytes, scheme: str) -> bytes:
    return b"" if not port or int(port) == DEFAULT_PORT_OF[scheme] else b":" + port
