"""Values in rules of haproxy.cfg: texts with variables, header names, addresses to redirect to, rates.

Responsible for saying one value in lbapp's words. Knows nothing of conditions or of where a value belongs. Invariant: a text
with a variable that lbapp does not have is no text at all, and never one with a part left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

_VARIABLES: Final = {
    "client_address": ("%[src]", "%ci"),
    "host": ("%[req.hdr(host)]", "%[hdr(host)]", "%[req.fhdr(host)]", "%[req.hdr(host,-1)]"),
    "scheme": ("%[ssl_fc,iif(https,http)]",),
    "request_id": ("%[unique-id]", "%id"),
}
_PATHS: Final = ("%[capture.req.uri]", "%[url]", "%[path]", "%[pathq]", "%hu")
_OF_REDIRECT: Final = ("scheme", "prefix", "location", "code")
_REDIRECT_STATUSES: Final = (301, 302, 303, 307, 308)
_FOUND_STATUS: Final = 302
STATUSES: Final = (200, 400, 401, 403, 404, 405, 410, 425, 429, 500, 501, 502, 503, 504)
_OF_RETURN: Final = ("status", "content-type", "string", "lf-string")
_NOT_OF_RETURN: Final = frozenset(("file", "lf-file", "errorfile", "errorfiles", "hdr"))
_PREFIX: Final = re.compile(
    r"\^?(/[A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+)*)(?:/\??|\(/\)\?|\[/\]\?)?(\(\.\*\))\$?"
).fullmatch
_SET_PATH: Final = re.compile(r"%\[path,regsub\(\^?(/[A-Za-z0-9_.~/-]+?)/?,/?\)\]").fullmatch


def template(text: str) -> str | None:
    """Return a text with lbapp's variables in place of HAProxy's; None: it has one that lbapp does not have."""
    if re.search(r"\{[a-z_]+\}", text):
        return None
    for name, theirs in _VARIABLES.items():
        for each in theirs:
            text = re.sub(
                re.escape(each) + (r"\b" if each[-1].isalnum() else ""), f"{{{name}}}", text, flags=re.IGNORECASE
            )
    return _without_percent(text)


def plain(text: str) -> str | None:
    """Return a text that has no variables at all; None: it has some."""
    return _without_percent(text)


def redirect(words: tuple[str, ...]) -> tuple[dict[str, Any], list[str]] | None:
    """Return the keys of a redirect and what is other than it was, from the words behind `redirect`; None: it cannot be said."""
    options = {word: words[at + 1] for at, word in enumerate(words[:-1]) if word in _OF_REDIRECT}
    status = options.get("code", str(_FOUND_STATUS))
    if not status.isdigit() or int(status) not in _REDIRECT_STATUSES or "set-cookie" in words:
        return None
    notes = ["the query stays"] if "drop-query" in words else []
    if "append-slash" in words:
        notes.append("no slash is appended")
    keys = _scheme(options) if "scheme" in options else _target(options, notes)
    return None if keys is None else ({"status": int(status), **keys}, notes)


def _scheme(options: dict[str, str]) -> dict[str, Any] | None:
    return {"scheme": options["scheme"]} if options["scheme"] in ("http", "https") else None


def _target(options: dict[str, str], notes: list[str]) -> dict[str, Any] | None:
    is_prefix = "prefix" in options
    text = options.get("prefix", options.get("location"))
    found = None if text is None else url(text)
    if found is None:
        return None
    path = found.get("path", "")
    if is_prefix:
        found["path"] = f"{path.rstrip('/')}{{path}}"
    elif not path:
        found["path"] = "/"
    if not is_prefix and "?" not in path and "{path}" not in path:
        notes.append("the query of the request follows")
    if found["path"] == "{path}":
        del found["path"]
    return found or None


def url(text: str) -> dict[str, Any] | None:
    """Return scheme, host, port and path of an address to redirect to, as far as it names them; None: it cannot be said."""
    for stands_for, theirs in (("{host}", _VARIABLES["host"]), ("/{path}", _PATHS)):
        for each in theirs:
            text = re.sub(re.escape(each), stands_for, text, flags=re.IGNORECASE)
    known = _without_percent(text)
    if known is None:
        return None
    try:
        parts = urlsplit(known)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("", "http", "https") or parts.fragment or (parts.scheme and not parts.netloc):
        return None
    host = re.sub(r":[0-9]+$", "", parts.netloc)
    path = re.sub(r"/+\{path\}", "{path}", parts.path) + (f"?{parts.query}" if parts.query else "")
    keys = {"scheme": parts.scheme, "host": host if host != "{host}" else "", "port": port, "path": path}
    return {key: value for key, value in keys.items() if value}


def stripped(action: str, words: tuple[str, ...]) -> str | None:
    """Return the prefix that a rule takes off the path, from the words behind it; None: it does something else."""
    if action == "set-path" and len(words) == 1:
        match = _SET_PATH(words[0])
        return match[1] if match else None
    if action in ("replace-path", "replace-uri", "replace-pathq") and len(words) == 2:
        match = _PREFIX(words[0])
        groups = words[0].count("(")
        if match and words[1] in (f"/\\{groups}", f"\\{groups}") and groups in (1, 2):
            return match[1]
    return None


def returned(words: Sequence[str]) -> tuple[dict[str, Any], list[str]] | None:
    """Return the keys of what `http-request return` answers, and what is other than it was; None: lbapp cannot answer so."""
    options = {word: words[at + 1] for at, word in enumerate(words[:-1]) if word in _OF_RETURN}
    status = options.get("status", "200")
    if not status.isdigit() or int(status) not in STATUSES or _NOT_OF_RETURN & set(words):
        return None
    body = options.get("string", "")
    if "lf-string" in options:
        text = plain(options["lf-string"])
        if text is None:
            return None
        body = text
    table: dict[str, Any] = {"status": int(status)}
    if body:
        table["body"] = body
    if "content-type" in options:
        table["content_type"] = options["content-type"].strip("\"'")
    return table, []


def rate(count: int, period_s: float) -> str | None:
    """Return a rate in lbapp's words; None: it has no whole number in a second, minute or hour."""
    for unit, seconds in (("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        amount = count * seconds / period_s
        if amount >= 1 and amount == int(amount):
            return f"{int(amount)}/{unit}"
    return None


def _without_percent(text: str) -> str | None:
    rest = text.replace("%%", "\0")
    return None if "%" in rest else rest.replace("\0", "%")
