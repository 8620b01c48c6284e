"""What a host and port may look like in Host and in a request target.

Responsible for one question, asked of client input. Knows nothing of names that resolve or ports that are served.
Source: RFC 3986 section 3.2.2, RFC 9110 section 7.2; stricter in that the delimiters nobody uses in names, such as the
comma that merging two Host fields leaves behind, are refused. Invariant: what passes holds no byte that could end or
divide a field, a path or a list.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

_PORT_MAX: Final = 65535

_match_host: Final = re.compile(
    rb"(?:(?:[A-Za-z0-9._~\-]|%[0-9A-Fa-f][0-9A-Fa-f]){1,255}+|\[([0-9A-Fa-f:.]{2,45}+)\])(?::([0-9]{0,5}+))?"
).fullmatch


def is_sound_host(host: bytes) -> bool:
    """Say whether `host` is a name or an address, with or without a port. An empty one is not."""
    match = _match_host(host)
    if match is None or (match[2] and int(match[2]) > _PORT_MAX):
        return False
    if match[1] is None:
        return True
    try:
        IPv6Address(match[1].decode("ascii"))
    except AddressValueError:
        return False
    return True
