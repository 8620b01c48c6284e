"""What the shell completes: the names of pools and servers, from the engine that runs.

Responsible for asking the engine for its names while somebody waits behind the TAB key. Knows nothing of shells, which are
click's. Only the standard library, so that a TAB costs little more than a start of the interpreter.

Invariants: never longer than ANSWER_TIMEOUT_S to connect and as much to answer, whatever is at the other end; an engine that is
not there, is busy or refuses has no names, and nothing is printed.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any, Final

import click

from lbapp.cli.context import Settings
from lbapp.control.paths import HOST, default_socket

ANSWER_TIMEOUT_S: Final = 0.5
_REQUEST: Final = b"GET /v1/pools HTTP/1.1\r\nHost: lbapp\r\nConnection: close\r\n\r\n"
_READ_BYTES: Final = 65536
_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024


def complete_pools(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of pools that begin so."""
    return [pool["name"] for pool in _pools(context) if pool["name"].startswith(incomplete)]


def complete_servers(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the servers, as POOL/SERVER, that begin so and are not named on the line yet."""
    return _servers(_pools(context), context, incomplete)


def complete_either(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return pools that begin so, and servers once a slash, or one pool alone, says of which pool."""
    pools = _pools(context)
    names = [pool["name"] for pool in pools if pool["name"].startswith(incomplete)]
    return names + (_servers(pools, context, incomplete) if len(names) < 2 else [])


def _servers(pools: list[dict[str, Any]], context: click.Context, incomplete: str) -> list[str]:
    named = context.params.get("servers")
    known = set(named) if isinstance(named, tuple) else set()
    servers = [server["id"] for pool in pools for server in pool["servers"]]
    return [each for each in servers if each.startswith(incomplete) and each not in known]


def _pools(context: click.Context) -> list[dict[str, Any]]:
    settings = context.find_object(Settings) or Settings()
    if settings.host or (not settings.socket and os.environ.get(HOST)):
        return []  # nobody waits for a login behind a TAB
    try:
        pools = json.loads(_ask(settings.socket or default_socket()))["pools"]
        return [each for each in pools if isinstance(each["name"], str) and isinstance(each["servers"], list)]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _ask(path: Path) -> bytes:
    """Return the body of the engine's answer. Raises OSError, ValueError."""
    give_up_at_s = time.monotonic() + ANSWER_TIMEOUT_S
    answer = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
        engine.settimeout(ANSWER_TIMEOUT_S)
        engine.connect(str(path))
        engine.sendall(_REQUEST)
        while (left_s := give_up_at_s - time.monotonic()) > 0 and len(answer) < _ANSWER_BYTES_MAX:
            engine.settimeout(left_s)
            data = engine.recv(_READ_BYTES)
            if not data:
                head, _, body = bytes(answer).partition(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise ValueError("refused")
                return body
            answer += data
    raise TimeoutError
