"""`lbapp is-ready`: whether this node should get new clients, as an exit status.

Responsible for asking and for the status. Knows nothing of routes. Made to be started every second by a check of another program:
it speaks HTTP itself, as the client of the control API costs more to import than all the rest.

Invariant: 0 means that the engine has said so within the timeout; whatever else happens is another status.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any, Final

import click

from lbapp.cli.context import EXIT_FAILED, Settings, json_option, reporting, say, say_json, socket_option
from lbapp.model.errors import EngineUnreachable, RequestRefused

_REQUEST: Final = b"GET /v1/ready HTTP/1.0\r\nHost: lbapp\r\n\r\n"
_ANSWER_BYTES_MAX: Final = 1 << 20


@click.command(name="is-ready")
@click.option(
    "--timeout", type=click.FloatRange(min=0.01), default=1.0, metavar="SECONDS", help="Until it counts as silent."
)
@json_option
@socket_option
@click.pass_obj
def is_ready(settings: Settings, timeout: float) -> None:
    """Say whether this node should get new clients: exit status 0, or 1 with the reasons."""
    with reporting():
        answer = ask(settings.socket_path, timeout)
        if settings.as_json:
            say_json(answer)
        else:
            say("ready" if answer["ready"] else f"not ready: {'; '.join(answer['reasons'])}")
        sys.exit(0 if answer["ready"] is True else EXIT_FAILED)


def ask(path: Path, timeout_s: float) -> dict[str, Any]:
    """Return a `control.fleet.Readiness`. Raises EngineUnreachable, RequestRefused."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(_REQUEST)
            data = b""
            while len(data) < _ANSWER_BYTES_MAX and (chunk := connection.recv(65536)):
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        status, answer = head.split(b" ", 2)[1], json.loads(body)
    except (OSError, ValueError, IndexError) as error:
        raise EngineUnreachable(f"no engine answers on {path}", "Start one with: lbapp run -c FILE") from error
    if status not in (b"200", b"503") or not isinstance(answer, dict) or "ready" not in answer:
        raise RequestRefused("unexpected", f"the engine answered {status.decode(errors='replace')} to /v1/ready")
    return answer
