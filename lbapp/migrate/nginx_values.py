"""Values of nginx.conf: variables in texts, addresses that are passed to, addresses to listen on, directives that are inherited.

Responsible for saying one value in lbapp's words. Knows nothing of what it is for. Invariant: a text with a variable that
lbapp does not have is no text at all, and never one with a part left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from lbapp.migrate.nginx_words import Directive

_VARIABLE: Final = re.compile(r"\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))", re.IGNORECASE)
_TEXTS: Final = {
    "remote_addr": "client_address", "host": "host", "http_host": "host", "scheme": "scheme", "request_id": "request_id",
}  # fmt: skip
_PATHS: Final = ("request_uri", "uri", "document_uri")
_LISTEN_WORDS: Final = frozenset(
    (
        "default_server", "default", "ssl", "http2", "spdy", "proxy_protocol", "reuseport", "bind", "deferred",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """What stands in one pair of braces."""

    directives: tuple[Directive, ...]

    @cached_property
    def by_name(self) -> dict[str, list[Directive]]:
        """The directives by their names, in the order of the file."""
        found: dict[str, list[Directive]] = {}
        for each in self.directives:
            found.setdefault(each.name, []).append(each)
        return found


@dataclass(frozen=True, slots=True)
class Scope:
    """The blocks around a place, outermost first. A directive that may stand in several holds as the nearest one says it."""

    blocks: tuple[Block, ...] = ()

    def inner(self, directives: tuple[Directive, ...] | None) -> Scope:
        """Return the scope of a block in it."""
        return Scope((*self.blocks, Block(directives or ())))

    def nearest(self, *names: str) -> list[Directive]:
        """Return all directives with these names in the nearest block that has any, in the order of the file."""
        for block in reversed(self.blocks):
            found = [each for name in names for each in block.by_name.get(name, ())]
            if found:
                return found if len(names) == 1 else [each for each in block.directives if each.name in names]
        return []

    def last(self, name: str) -> Directive | None:
        """Return the directive that holds."""
        found = self.nearest(name)
        return found[-1] if found else None

    def word(self, name: str) -> str:
        """Return the first word of the directive that holds, or nothing."""
        found = self.last(name)
        return found.words[0] if found is not None and found.words else ""

    def constants(self) -> dict[str, str]:
        """Return what is known of variables: what `set` says, where it is a text without any, and the server's first name."""
        found: dict[str, str] = {}
        name = self.word("server_name")
        if re.fullmatch(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", name):
            found["server_name"] = name
        for block in self.blocks:
            for each in block.by_name.get("set", ()):
                if len(each.words) == 2:
                    value = with_constants(each.words[1], found)
                    if "$" not in value:
                        found[each.words[0].removeprefix("$")] = value
        return found


class Target(NamedTuple):
    """Where a proxy_pass leads: `https` or not, a name with or without a port or `unix:/path`, and the URI part behind it."""

    is_tls: bool
    place: str
    uri: str


class Listen(NamedTuple):
    """An address to listen on in lbapp's words, and the words behind it."""

    address: str
    words: tuple[str, ...]

    @property
    def port(self) -> str:
        """The port; empty for a Unix socket."""
        return "" if self.address.startswith("unix:") else self.address.rpartition(":")[2]


def with_constants(text: str, constants: dict[str, str]) -> str:
    """Return a text with what is known of its variables in their places."""
    return _VARIABLE.sub(lambda match: constants.get(match[1] or match[2], match[0]), text)


def template(text: str) -> str | None:
    """Return a text with lbapp's variables in place of nginx's; None: it has one that lbapp does not have."""
    if re.search(r"(?<!\$)\{[a-z_]+\}", text):
        return None
    names = [match[1] or match[2] for match in _VARIABLE.finditer(text)]
    if any(name not in _TEXTS for name in names):
        return None
    return _VARIABLE.sub(lambda match: f"{{{_TEXTS[match[1] or match[2]]}}}", text)


def target(text: str, *, has_scheme: bool = True) -> Target | None:
    """Return where a proxy_pass leads; None: it cannot be said."""
    scheme, mark, rest = text.partition("://")
    if has_scheme and (not mark or scheme not in ("http", "https")):
        return None
    rest = rest if has_scheme else text
    if rest.startswith("unix:"):
        path, _, uri = rest.removeprefix("unix:").partition(":")
        return Target(scheme == "https", f"unix:{path}", uri)
    place, slash, uri = rest.partition("/")
    return Target(scheme == "https", place, slash + uri) if place and "$" not in text else None


def address_of(place: str, *, port: int) -> str:
    """Return a place as the address of a server: with a port where it has none."""
    if place.startswith("unix:") or re.search(r"(?:^[^:]*|\]):[0-9]+$", place):
        return place
    return f"{place}:{port}"


def listen(words: tuple[str, ...], *, port: int = 80) -> Listen | None:
    """Return an address to listen on; None: it cannot be said. `port`: where the words name none."""
    text = words[0] if words else ""
    if any(word not in _LISTEN_WORDS and "=" not in word for word in words[1:]):
        return None
    if text.startswith("unix:"):
        return Listen(text.rstrip(":"), words[1:])
    if text.isdigit():
        return Listen(f"0.0.0.0:{text}", words[1:])
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, number = text, str(port)
    if not number.isdigit() or "$" in host:
        return None
    return Listen(f"{'0.0.0.0' if host == '*' else host}:{number}", words[1:])


def redirect(status: str, url: str) -> dict[str, Any] | None:
    """Return the keys of a redirect; None: it cannot be said."""
    known = dict.fromkeys(_PATHS, "/{path}") | {"scheme": "scheme", "is_args": "", "args": "", "query_string": ""}
    names = [match[1] or match[2] for match in _VARIABLE.finditer(url)]
    if any(name not in known and name not in ("host", "http_host") for name in names):
        return None
    is_same_scheme = url.startswith("$scheme://")
    text = _VARIABLE.sub(
        lambda match: known.get(match[1] or match[2], "{host}"), url.replace("$scheme://", "http://", 1)
    )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("", "http", "https") or parts.fragment or (parts.scheme and not parts.netloc):
        return None
    path = re.sub(r"/+\{path\}", "{path}", parts.path) or ("/" if parts.netloc else "")
    path += f"?{parts.query}" if parts.query else ""
    host = re.sub(r":[0-9]+$", "", parts.netloc)
    keys = {
        "scheme": "" if is_same_scheme else parts.scheme,
        "host": "" if host == "{host}" else host,
        "port": port,
        "path": "" if path == "{path}" else path,
    }
    found = {key: value for key, value in keys.items() if value}
    return {"status": int(status), **found} if found and (path.startswith(("/", "{path}"))) else None


def stripped(prefix: str, uri: str) -> dict[str, Any] | None:
    """Return the key of a route that puts a URI in place of a location's prefix; {}: nothing changes, None: it cannot be said."""
    if prefix == uri:
        return {}
    whole, by = prefix.rstrip("/"), uri.rstrip("/")
    if prefix.endswith("/") != uri.endswith("/") and uri != "/":
        return None
    if not whole:
        return None if by else {}
    return {"replace_prefix": {"prefix": whole, "by": by}} if by else {"strip_prefix": whole}


def moved(words: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the status and the address of a rewrite that redirects every request; None: it does something else."""
    status = {"permanent": "301", "redirect": "302"}.get(words[2]) if len(words) == 3 else None
    if status is None or words[0] not in (
        "^",
        "^/",
        ".*",
        "^.*$",
        "^.*",
        "(.*)",
        "^(.*)",
        "^(.*)$",
        "^/(.*)",
        "^/(.*)$",
    ):
        return None
    to = re.sub(r"/?\$1", "$request_uri", words[1].removesuffix("?"))
    return status, to


def rewritten(words: tuple[str, ...]) -> str | None:
    """Return the prefix that a rewrite takes off the path, such as `^/api/(.*)$ /$1 break`; None: it does something else."""
    if len(words) != 3 or words[2] != "break":
        return None
    match = re.fullmatch(
        r"\^?(/[A-Za-z0-9_.~/-]*[A-Za-z0-9_.~-])/?(?:\(/\|\$\)|\(\?:/\|\$\)|/\?)?\(\.\*\)\$?", words[0]
    )
    groups = words[0].count("(") - words[0].count("(?")
    return match[1] if match and words[1] in (f"/${groups}", f"${groups}") else None
