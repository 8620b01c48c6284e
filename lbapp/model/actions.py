"""What a listener does with a request beyond naming a pool: split, redirect, respond, rewrite; and whom it believes.

Responsible for these shapes as plain immutable values. Knows nothing of TOML, bytes or what happens at run time.
Invariant: whoever builds one has checked it: names and values are sound, templates hold known variables only.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

Network = IPv4Network | IPv6Network

# Variables of templates, written in braces.
HEADER_VARIABLES: Final = ("client_address", "host", "scheme", "request_id")
REDIRECT_HOST_VARIABLES: Final = ("host",)
REDIRECT_PATH_VARIABLES: Final = ("path", "host")
REDIRECT_STATUSES: Final = (301, 302, 303, 307, 308)
DEFAULT_PORT_OF: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Share:
    """One pool of a split, and its weight beside the others."""

    pool: str
    weight: int


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where to send a client. What is None stays as the client asked for it.

    `host` and `path` are templates; a path without `?` keeps the request's query.
    """

    status: int = 307
    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class FixedResponse:
    """An answer that needs no server."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PrefixChange:
    """Replace a prefix of the path, in whole segments; `by` empty strips it."""

    prefix: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """Changes to the fields of a head. `set` replaces, `add` adds a line; their values are templates. Names in lower case."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is changed."""
        return not (self.set or self.add or self.remove)

    def without(self, name: str) -> HeaderRules:
        """Return the rules but for what `set` says of a name."""
        return HeaderRules(tuple(pair for pair in self.set if pair[0] != name), self.add, self.remove)

    def then(self, later: HeaderRules) -> HeaderRules:
        """Return both in one, `later` having the last word."""
        named = {name for name, _ in later.set} | set(later.remove)
        return HeaderRules(
            tuple(pair for pair in self.set if pair[0] not in named) + later.set,
            tuple(pair for pair in self.add if pair[0] not in named) + later.add,
            tuple(dict.fromkeys(self.remove + later.remove)),
        )


@dataclass(frozen=True, slots=True)
class Hsts:
    """Strict-Transport-Security (RFC 6797), said on https only."""

    max_age_s: float
    include_subdomains: bool = False
    preload: bool = False

    @property
    def value(self) -> str:
        """The value of the field."""
        parts = [f"max-age={int(self.max_age_s)}"]
        parts += ["includeSubDomains"] if self.include_subdomains else []
        return "; ".join(parts + (["preload"] if self.preload else []))


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What servers are told of the client, and which peers are believed when they say who it is."""

    trusted_proxies: tuple[Network, ...] = ()
    forwarded: bool = False
    via: bool = True


NO_RULES: Final = HeaderRules()
