"""A configuration that can be shown to others.

Responsible for taking secrets out of a file's text. Knows nothing of who gets it. Comments go, too: anything may stand there.
Files that the configuration names, such as keys of certificates, are never read.

Invariant: no value of a key that may hold a secret is left: keys that sign, what is set in headers or wanted of them, and what
health checks send.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

MASK: Final = "***"
_is_secret: Final = re.compile(r"(?i)secret|passw|token|credential").search
_ALWAYS: Final = frozenset(("keys", "send"))
_BY_NAME: Final = frozenset(("set", "add", "headers", "expect_headers"))  # tables whose keys are names of headers


def without_secrets(text: str) -> str:
    """Return the text of a TOML file with a mask in place of each secret. Raises ValueError for what is no TOML."""
    import tomlkit

    try:
        return tomlkit.dumps(_masked(tomllib.loads(text.removeprefix("\ufeff"))))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, each in value.items():
        is_hidden = key in _ALWAYS or _is_secret(key) or (key in _BY_NAME and isinstance(each, dict))
        found[key] = _hidden(each) if is_hidden else _masked(each)
    return found


def _hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    if isinstance(value, dict):
        return {key: each if key == "id" else _hidden(each) for key, each in value.items()}
    return MASK
