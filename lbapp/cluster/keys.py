"""The names of what a fleet keeps in its store.

Responsible for the keys below `/lbapp/NAME/`, both ways. Knows nothing of values, nor of how either is written.

Invariants: what `read` returns is what one of the functions here made the key of, or None; the texts of configurations, which are
long, lie behind everything else, so that a range without them is one range.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from lbapp.model.fleet import IntentKey
from lbapp.model.journal import Setting
from lbapp.model.limits import FLEET_KEY_BYTES_MAX

_NUMBER_DIGITS: Final = 10  # so that the order of keys is that of numbers


class Kind(Enum):
    """What a key is about."""

    BEGAN = "began"  # names the store's data: it is written once, when there is none
    CURRENT = "configuration/current"
    RESULT = "configuration/result/"
    INTENT = "intents/"
    NODE = "nodes/"
    STATE = "state/"


@dataclass(frozen=True, slots=True)
class Name:
    """What a key names. `of`: the node; empty for those that are of none. `intent`: of an intent."""

    kind: Kind
    of: str = ""
    intent: IntentKey | None = None


_WHOLE: Final = (Kind.BEGAN, Kind.CURRENT)
_OF_SEVERAL: Final = ("intents", "configuration")  # have kinds below them
_OF_NODES: Final = (Kind.RESULT, Kind.NODE, Kind.STATE)


class Keys:
    """The keys of one fleet."""

    def __init__(self, fleet: str) -> None:
        self.prefix: Final = f"/lbapp/{fleet}/".encode()
        self.began: Final = self._key(Kind.BEGAN)
        self.current: Final = self._key(Kind.CURRENT)
        # Everything but texts.
        self.first: Final = self.prefix
        self.end: Final = self.prefix + b"texts/"
        self.texts_end: Final = self.prefix + b"texts0"  # what comes behind the last of them

    def node(self, name: str) -> bytes:
        """Return the key by which a node is a member."""
        return self._key(Kind.NODE, name)

    def state(self, name: str) -> bytes:
        """Return the key of what a node carries."""
        return self._key(Kind.STATE, name)

    def result(self, name: str) -> bytes:
        """Return the key of what came of a configuration on a node."""
        return self._key(Kind.RESULT, name)

    def intent(self, key: IntentKey) -> bytes:
        """Return the key of an intent."""
        on, setting = key
        return self._key(Kind.INTENT, f"{setting.value}/{on}")

    def later(self, key: bytes) -> str:
        """Return what a key that names nothing known is one of, such as `intents/colour`: a later version may know more."""
        parts = self.shown(key.removeprefix(self.prefix)).split("/")
        return "/".join(parts[: 2 if parts[0] in _OF_SEVERAL else 1])

    def text(self, number: int) -> bytes:
        """Return the key of the text of a configuration; texts of later ones come behind it."""
        return self.end + f"{number:0{_NUMBER_DIGITS}d}".encode()

    def number_of_text(self, key: bytes) -> int:
        """Return the number of the configuration that a key is the text of; 0: of none."""
        digits = key.removeprefix(self.end)
        return int(digits) if key.startswith(self.end) and digits.isdigit() and len(digits) == _NUMBER_DIGITS else 0

    def read(self, key: bytes) -> Name | None:
        """Return what a key names; None: nothing that a fleet keeps."""
        if not key.startswith(self.prefix) or len(key) > FLEET_KEY_BYTES_MAX:
            return None
        try:
            rest = key[len(self.prefix) :].decode("utf-8")
        except UnicodeDecodeError:
            return None
        if not rest.isprintable():
            return None
        for kind in _WHOLE:
            if rest == kind.value:
                return Name(kind)
        for kind in _OF_NODES:
            if rest.startswith(kind.value):
                return _of_node(kind, rest.removeprefix(kind.value))
        return _of_intent(rest.removeprefix(Kind.INTENT.value)) if rest.startswith(Kind.INTENT.value) else None

    def shown(self, key: bytes) -> str:
        """Return a key as people read it."""
        text = key.decode("utf-8", "replace")[:FLEET_KEY_BYTES_MAX]
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    def _key(self, kind: Kind, rest: str = "") -> bytes:
        return self.prefix + (kind.value + rest).encode()


def _of_node(kind: Kind, name: str) -> Name | None:
    return Name(kind, name) if name and "/" not in name else None


def _of_intent(rest: str) -> Name | None:
    word, _, on = rest.partition("/")
    known = {setting.value: setting for setting in Setting}
    return Name(Kind.INTENT, intent=(on, known[word])) if on and word in known else None
