"""What a call of the control API carries.

Responsible for its body, the numbers of its query, and who makes it. Knows nothing of what is asked. Invariant: no body is read
beyond what is allowed of it.
"""

from __future__ import annotations

import json

from starlette.requests import Request

from lbapp.control.messages import Actor
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import CONTROL_BODY_BYTES_MAX


async def json_body(request: Request, bytes_max: int = CONTROL_BODY_BYTES_MAX) -> object:
    """Return the decoded body, None when there is none.

    Raises RequestRefused 413 body_too_large, 422 invalid_body.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > bytes_max:
            message = f"the body has more than {bytes_max} bytes"
            raise RequestRefused("body_too_large", message, "A change needs a few dozen", 413)
    if not body:
        return None
    try:
        return json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        message = "the body is not valid JSON"
        raise RequestRefused("invalid_body", message, 'Send an object such as {"state": "drain"}', 422) from error


def number_in(request: Request, name: str, default: int) -> int:
    """Return a whole number of the query. Raises RequestRefused 422 invalid_query."""
    value = request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise RequestRefused("invalid_query", f"{name}={value} is no whole number", f"Such as {name}=100", 422)
    return int(value)


def actor_of(request: Request) -> Actor:
    """Return who calls."""
    actor: Actor = request.state.actor
    return actor
