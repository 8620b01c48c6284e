"""The keys that exist where the operator is, as words.

Responsible for reading them off the bindings, and for putting them in groups. Knows nothing of what they do. Invariant: every
binding that is active is named, and no other: what cannot be pressed is not offered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from textual.binding import ActiveBinding, Binding
from textual.screen import Screen
from textual.widgets import Input

Group = Literal["MOVE", "LOOK", "CHANGE", "EVERYWHERE"]
GROUPS: Final[tuple[Group, ...]] = ("MOVE", "LOOK", "CHANGE", "EVERYWHERE")
_MOVING: Final = ("move(", "page(", "go(", "choose", "back", "scroll_", "page_")
_CHANGING: Final = "act("
_ALWAYS: Final = ("?", "q")
_WORDS: Final = {"Focus Next": "next list", "Focus Previous": "list before", "Quit": "quit"}  # of what is Textual's own
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
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "delete": "Del",
    "tab": "Tab",
    "shift+tab": "S-Tab",
}


def key_name(key: str) -> str:
    """Return a key as it is written on it, or as it is pressed."""
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+').upper()}"
    return key.upper() if key[:1] == "f" and key[1:].isdigit() else _NAMES.get(key, key)


def keys_line(keys: Iterable[tuple[str, str]], width: int) -> str:
    """Return as many of the keys as have room, in their order, none of them cut; those that help and leave always stand there."""
    words = [(key, f"{key} {does}") for key, does in keys]
    room = width - 1 - sum(len(word) + 2 for key, word in words if key in _ALWAYS)
    taken = []
    for key, word in words:
        if key not in _ALWAYS:
            room -= len(word) + 2
            if room < -2:  # the last one needs no gap behind it
                continue
        taken.append(word)
    return " " + "  ".join(taken)


def short_keys(screen: Screen[Any], *, has_selection: bool) -> Iterator[tuple[str, str]]:
    """Yield the keys that stand on the lowest line, each with what it does; what changes servers only where some are selected."""
    if isinstance(screen.focused, Input):  # of a filter: all else is text
        yield from (("Enter", "keep the filter"), ("Esc", "take it back"))
        return
    seen = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        if not has_selection and binding.action.startswith(_CHANGING):
            continue
        if binding.show and active.enabled and binding.action not in seen:
            seen.add(binding.action)
            yield key_name(binding.key), binding.description


def is_offered(active: ActiveBinding) -> bool:
    """Say whether a key is one that any terminal sends and that does something now."""
    return active.enabled and not active.binding.system and not active.binding.key.startswith("super+")


def words_of(binding: Binding) -> str:
    """Return what a key does."""
    return _WORDS.get(binding.description, binding.description or binding.action)


def written_keys(screen: Screen[Any]) -> dict[str, list[tuple[str, str]]]:
    """Return every key that can be pressed, in its group: those that do the same together, with what they do."""
    found: dict[str, dict[tuple[str, str], list[str]]] = {group: {} for group in GROUPS}
    for active in screen.active_bindings.values():
        binding = active.binding
        if is_offered(active):
            what = (binding.action, words_of(binding))
            found[_group(active, screen)].setdefault(what, []).append(key_name(binding.key))
    return {
        group: [(" ".join(keys), description) for (_, description), keys in what.items()]
        for group, what in found.items()
    }


def _group(active: ActiveBinding, screen: Screen[Any]) -> Group:
    action = active.binding.action
    if action.startswith(_CHANGING):
        return "CHANGE"
    if action.startswith(_MOVING):
        return "MOVE"
    return "EVERYWHERE" if active.node in (screen, screen.app) else "LOOK"
