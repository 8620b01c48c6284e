"""The tables of what a route does, and of headers and forwarding: keys, defaults, and their values of the model.

Responsible for what may stand there and for turning it into `model.actions`. Knows nothing of the tables around. Invariant: a
name or value that could frame, route or split a message never passes; templates hold known variables only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from lbapp.config import values
from lbapp.config.expressions import expression
from lbapp.config.table import Table
from lbapp.config.values import either, shown
from lbapp.model import actions
from lbapp.model.actions import (
    HEADER_VARIABLES,
    REDIRECT_HOST_VARIABLES,
    REDIRECT_PATH_VARIABLES,
    REDIRECT_STATUSES,
    Network,
)

_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}").fullmatch
_FIELD_VALUE: Final = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?").fullmatch
_VARIABLE: Final = re.compile(r"\{([a-z_]+)\}")
_VALUE_LETTERS_MAX: Final = 4096
_BODY_LETTERS_MAX: Final = 64 * 1024
_HOST_LETTERS: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]").fullmatch
_HOST_AND_PORT: Final = re.compile(
    r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,4}|:[1-5][0-9]{4})?"
).fullmatch
_PATH_LETTERS: Final = re.compile(r"/[!\"$-~]*").fullmatch
_CONTENT_TYPE: Final = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:; ?[a-z-]+=[A-Za-z0-9_.-]+)*"
).fullmatch
# What frames or routes a message, or belongs to one connection (RFC 9110 section 7.6.1), and what lbapp says itself.
_FRAMING: Final[frozenset[str]] = frozenset(
    (
        "connection", "content-length", "host", "http2-settings", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    )
)  # fmt: skip
_OURS: Final = frozenset(
    ("expect", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto")
)
_NEVER_SEEN: Final = (_FRAMING | _OURS) - {"host", "trailer", "via"}


def _field_name(name: object, refused: frozenset[str]) -> str:
    if not isinstance(name, str) or not _FIELD_NAME(name):
        raise ValueError(f"{shown(name)} is not accepted; allowed: header names")
    if name.lower() in refused:
        raise ValueError(f"{shown(name)} is not accepted; it frames or routes the message, which lbapp does itself")
    return name.lower()


def _template(value: object, known: tuple[str, ...], name: str) -> str:
    if not isinstance(value, str) or not _FIELD_VALUE(value) or len(value) > _VALUE_LETTERS_MAX:
        raise ValueError(
            f"{shown(value)} is not accepted for {name}; allowed: ASCII on one line, without ends of space"
        )
    for variable in _VARIABLE.findall(value):
        if variable not in known:
            allowed = either(f"{{{each}}}" for each in known)
            raise ValueError(f"{shown('{' + variable + '}')} is not known in {name}; allowed: {allowed}")
    return value


def _named_values(value: object, refused: frozenset[str]) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f'{shown(value)} is not accepted; allowed: a table, such as {{ x-version = "2" }}')
    found: dict[str, str] = {}
    for name, wanted in value.items():
        lower = _field_name(name, refused)
        if lower in found:
            raise ValueError(f"{shown(name)} is not accepted; allowed: header names, each once in any case")
        found[lower] = _template(wanted, HEADER_VARIABLES, name)
    return found


def _names(value: object, refused: frozenset[str]) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f'{shown(value)} is not accepted; allowed: a list of header names, such as ["x-debug"]')
    return [_field_name(name, refused) for name in value]


def _set_values(value: object) -> dict[str, str]:
    found = _named_values(value, (_FRAMING | _OURS) - {"host"})
    if "host" in found and not _HOST_AND_PORT(found["host"]):
        raise ValueError(
            f'{shown(found["host"])} is not accepted for host; allowed: a host as it is, such as "app.internal"'
        )
    return found


def _request_values(value: object) -> dict[str, str]:
    return _named_values(value, _FRAMING | _OURS)


def _request_names(value: object) -> list[str]:
    return _names(value, _FRAMING | _OURS)


def _response_values(value: object) -> dict[str, str]:
    return _named_values(value, _FRAMING)


def _response_names(value: object) -> list[str]:
    return _names(value, _FRAMING)


class RequestHeadersTable(Table):
    """`[listener.request_headers]`, `[listener.route.request_headers]`."""

    set: Annotated[dict[str, str], BeforeValidator(_set_values)] = Field(default_factory=dict)
    add: Annotated[dict[str, str], BeforeValidator(_request_values)] = Field(default_factory=dict)
    remove: Annotated[list[str], BeforeValidator(_request_names)] = Field(default_factory=list)

    def to_model(self) -> actions.HeaderRules:
        """Return the rules."""
        return actions.HeaderRules(tuple(self.set.items()), tuple(self.add.items()), tuple(self.remove))


class ResponseHeadersTable(Table):
    """`[listener.response_headers]`, `[listener.route.response_headers]`."""

    set: Annotated[dict[str, str], BeforeValidator(_response_values)] = Field(default_factory=dict)
    add: Annotated[dict[str, str], BeforeValidator(_response_values)] = Field(default_factory=dict)
    remove: Annotated[list[str], BeforeValidator(_response_names)] = Field(default_factory=list)

    def to_model(self) -> actions.HeaderRules:
        """Return the rules."""
        return actions.HeaderRules(tuple(self.set.items()), tuple(self.add.items()), tuple(self.remove))


def _scheme(value: object) -> str:
    if value not in actions.DEFAULT_PORT_OF:
        raise ValueError(f"{shown(value)} is not known; allowed: {either(actions.DEFAULT_PORT_OF)}")
    return str(value)


def _status_of(allowed: tuple[int, ...]) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
            raise ValueError(f"{shown(value)} is not accepted; allowed: {', '.join(map(str, allowed))}")
        return value

    return read


def _redirect_host(value: object) -> str:
    host = _template(value, REDIRECT_HOST_VARIABLES, "host")
    if not _HOST_LETTERS(host.replace("{host}", "h")):
        raise ValueError(f'{shown(value)} is not accepted; allowed: a host without port, such as "www.{{host}}"')
    return host


def _redirect_path(value: object) -> str:
    path = _template(value, REDIRECT_PATH_VARIABLES, "path")
    if not _PATH_LETTERS(path.replace("{path}", "/p", 1) if path.startswith("{path}") else path):
        raise ValueError(f'{shown(value)} is not accepted; allowed: a path from its slash on, such as "/new{{path}}"')
    return path


class RedirectTable(Table):
    """`[listener.route.redirect]`."""

    status: Annotated[int, BeforeValidator(_status_of(REDIRECT_STATUSES))] = actions.Redirect().status
    scheme: Annotated[str, BeforeValidator(_scheme)] | None = None
    host: Annotated[str, BeforeValidator(_redirect_host)] | None = None
    port: Annotated[int, BeforeValidator(values.whole_number(1, 65535))] | None = None
    path: Annotated[str, BeforeValidator(_redirect_path)] | None = None

    def to_model(self) -> actions.Redirect:
        """Return the redirect."""
        return actions.Redirect(self.status, self.scheme, self.host, self.port, self.path)


def _body(value: object) -> str:
    if not isinstance(value, str) or len(value) > _BODY_LETTERS_MAX:
        raise ValueError(f"{shown(value)} is not accepted; allowed: text, with at most {_BODY_LETTERS_MAX} letters")
    return value


def _content_type(value: object) -> str:
    if not isinstance(value, str) or not _CONTENT_TYPE(value):
        raise ValueError(f'{shown(value)} is not accepted; allowed: a media type, such as "application/json"')
    return value


_ANSWER: Final = actions.FixedResponse()
_ANSWER_STATUSES: Final = (
    200, 202, 204, 400, 401, 402, 403, 404, 405, 406, 409, 410, 418, 421, 422, 423, 425, 429, 451, 500, 501, 502, 503, 504,
)  # fmt: skip


class FixedResponseTable(Table):
    """`[listener.route.respond]`."""

    status: Annotated[int, BeforeValidator(_status_of(_ANSWER_STATUSES))] = _ANSWER.status
    body: Annotated[str, BeforeValidator(_body)] = _ANSWER.body
    content_type: Annotated[str, BeforeValidator(_content_type)] = _ANSWER.content_type

    def to_model(self) -> actions.FixedResponse:
        """Return the answer."""
        return actions.FixedResponse(self.status, self.body, self.content_type)


class ShareTable(Table):
    """One entry of `split`."""

    pool: str
    weight: Annotated[int, BeforeValidator(values.whole_number(0, 1_000_000))]

    def to_model(self) -> actions.Share:
        """Return the share."""
        return actions.Share(self.pool, self.weight)


def split_key(value: object) -> str:
    """Return what decides a split. Raises ValueError."""
    if value not in ("client", "request"):
        raise ValueError(f"{shown(value)} is not known; allowed: 'client' or 'request'")
    return str(value)


def _segments(value: object) -> str:
    return values.path_prefix(value).rstrip("/")


class PrefixChangeTable(Table):
    """`[listener.route.replace_prefix]`."""

    prefix: Annotated[str, BeforeValidator(_segments)]
    by: Annotated[str, BeforeValidator(_segments)]

    def to_model(self) -> actions.PrefixChange:
        """Return the change."""
        return actions.PrefixChange(self.prefix, self.by)


Prefix = Annotated[str, BeforeValidator(_segments)]
Expression = Annotated[str, BeforeValidator(expression)]


class HstsTable(Table):
    """`[listener.hsts]`."""

    max_age: Annotated[float, BeforeValidator(values.duration_s)]
    include_subdomains: bool = False
    preload: bool = False

    def to_model(self) -> actions.Hsts:
        """Return the settings."""
        return actions.Hsts(self.max_age, self.include_subdomains, self.preload)


def _networks(value: object) -> list[Network]:
    wrong = 'allowed: a list of networks or addresses, such as ["10.0.0.0/8", "2001:db8::/32"]'
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is not accepted; {wrong}")
    found = []
    for each in value:
        try:
            if not isinstance(each, str):
                raise ValueError
            found.append(ip_network(each))
        except ValueError as error:
            raise ValueError(f"{shown(each)} is not a network; {wrong}") from error
    return found


class ForwardingTable(Table):
    """`[listener.forwarding]`."""

    trusted_proxies: Annotated[list[Network], BeforeValidator(_networks)] = Field(default_factory=list)
    forwarded: bool = actions.Forwarding().forwarded
    via: bool = actions.Forwarding().via

    def to_model(self) -> actions.Forwarding:
        """Return the settings."""
        return actions.Forwarding(tuple(self.trusted_proxies), self.forwarded, self.via)


def header_matches(value: object) -> dict[str, str | bool | tuple[str]]:
    """Return what is wanted of each header, by lower-case name: a whole value, presence, or (an expression,)."""
    if not isinstance(value, dict):
        raise ValueError(f'{shown(value)} is not accepted; allowed: a table, such as {{ x-version = "2" }}')
    exact = {name: wanted for name, wanted in value.items() if not isinstance(wanted, dict)}
    found: dict[str, str | bool | tuple[str]] = dict(values.route_headers(exact))
    for name in value:
        if str(name).lower() in _NEVER_SEEN:
            raise ValueError(f"{shown(name)} is not accepted; lbapp takes the field out before routes are looked at")
    for name, wanted in value.items():
        if not isinstance(wanted, dict):
            continue
        lower = _field_name(name, frozenset())
        if lower in found:
            raise ValueError(f"{shown(name)} is not accepted; allowed: header names, each once in any case")
        if set(wanted) == {"present"} and isinstance(wanted["present"], bool):
            found[lower] = wanted["present"]
        elif set(wanted) == {"regex"}:
            found[lower] = (expression(wanted["regex"]),)
        else:
            raise ValueError(
                f'{shown(wanted)} is not accepted for {name}; allowed: a value, {{ present = true }} or {{ regex = "..." }}'
            )
    return found
