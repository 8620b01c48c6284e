"""What a server's agent says of it, in one line of text.

Responsible for reading the line: words and figures between spaces or commas, in any case, a reason after `#`. Knows nothing of
sockets, of probes or of what the operator wants, which an agent never changes.

Invariants: a line of any bytes has an answer; what is not known is named and otherwise ignored; what a line does not speak
of stays as it was.

    75%                     of the weight that the server has, 0% to 256%
    down, fail, failed, stopped, up     health; all but `up` take the server out, with the reason after #, and `up` ends that
    drain, maint, ready     whom it takes: with drain those that had it may come back, with maint nobody may; `ready` ends both
    maxconn:N               requests in flight at most, 0: no limit

Source: the words of HAProxy's agent-check. There, too, `up` does not end what `drain` began, nor `ready` what `down` began. There
they change the operator's own state, here they stand beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

_SEPARATOR: Final = re.compile(r"[ \t,]+")
_PERCENT: Final = re.compile(r"([0-9]{1,3})%").fullmatch
_MAXCONN: Final = re.compile(r"maxconn:([0-9]{1,6})").fullmatch
PERCENT_MAX: Final = 256
_DOWN: Final = frozenset({"down", "fail", "failed", "stopped"})
_NOBODY: Final = "maint"
_NO_NEW_CLIENTS: Final = frozenset({"drain", _NOBODY})
_REASON_LETTERS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Wish:
    """How a server wants to be treated, by its agent. `down` is why it is down, empty while it is not.

    `no_new_clients` is the word that asks for none, empty while it takes them. `connections_max` 0: no limit.
    """

    down: str = ""
    no_new_clients: str = ""
    percent: int = 100
    connections_max: int = 0

    @property
    def is_for_nobody(self) -> bool:
        """Say whether not even those may come who had the server before."""
        return self.no_new_clients == _NOBODY


NO_WISH: Final = Wish()


def read_line(line: bytes, before: Wish) -> tuple[Wish, tuple[str, ...]]:
    """Return the wish after a line, and the words in it that are not known."""
    text, _, reason = line.decode("utf-8", "replace").partition("#")
    reason = _printable(reason.strip())[:_REASON_LETTERS_MAX]
    wish, unknown = before, []
    for word in _SEPARATOR.split(text.strip().lower()):
        after = _taken(wish, word, reason)
        if after is None:
            unknown.append(_printable(word)[:_REASON_LETTERS_MAX])
        else:
            wish = after
    return wish, tuple(unknown)


def cleaned(line: bytes) -> str:
    """Return a line as it is shown to operators."""
    return _printable(line.decode("utf-8", "replace").strip())[:_REASON_LETTERS_MAX]


def _taken(wish: Wish, word: str, reason: str) -> Wish | None:
    if word in _DOWN:
        return replace(wish, down=f"{word}: {reason}" if reason else word)
    if word in _NO_NEW_CLIENTS:
        return replace(wish, no_new_clients=word)
    if word == "up":
        return replace(wish, down="")
    if word == "ready":
        return replace(wish, no_new_clients="")
    if (match := _PERCENT(word)) and int(match[1]) <= PERCENT_MAX:
        return replace(wish, percent=int(match[1]))
    if match := _MAXCONN(word):
        return replace(wish, connections_max=int(match[1]))
    return None if word else wish


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def weight_of(weight: int, percent: int, weight_max: int) -> int:
    """Return the share of a weight; never 0 for a share that is not."""
    return min(max(1, (weight * percent + 50) // 100), weight_max) if weight and percent else 0
