"""The keys that exist where the operator is, as words.

Responsible for reading them off the bindings. Knows nothing of what they do. Invariant: every binding that is active is
named, and no other: what cannot be pressed is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from textual.screen import Screen

_NAMES: Final = {
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "exclamation_mark": "!",
    "question_mark": "?",
    "escape": "Esc",
    "enter": "Enter",
    "colon": ":",
    "space": "Space",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
}


def key_name(key: str) -> str:
    """Return a key as it is written on it, or as it is pressed."""
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+').upper()}"
    return key.upper() if key[0] == "f" and key[1:].isdigit() else _NAMES.get(key, key)


def short_keys(screen: Screen[Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys that stand on the lowest line, each with what it does."""
    seen = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.show and active.enabled and binding.action not in seen:
            seen.add(binding.action)
            yield key_name(binding.key), binding.description


def written_keys(screen: Screen[Any]) -> Iterator[tuple[str, str]]:
    """Yield every key that can be pressed, those that do the same together, with what they do."""
    found: dict[tuple[str, str], list[str]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.description and active.enabled and not binding.system:
            found.setdefault((binding.action, binding.description), []).append(key_name(binding.key))
    for (_, description), keys in found.items():
        yield " ".join(keys), description
