"""Why a peer does something else than lbapp with a vector.

Responsible for one sentence per difference: of a single vector where it has a reason of its own, else of what lbapp and the peer
made of it. Invariant: rules are looked at from the top, and the first that fits is the reason.
"""

from __future__ import annotations

import re
from typing import Final

from tests.fuzz.vectors.kinds import Vector

NO_REASON: Final = "no reason is known"

# Peer, group, name, what lbapp made of it, what the peer made of it (expressions that match the beginning); the reason.
_RULES: Final[tuple[tuple[str, str, str, str, str, str], ...]] = (
    (
        "",
        "",
        ".*bare LF|.*bare LF",
        "4xx|5xx",
        "2",
        "the peer takes a bare LF as the end of a line; lbapp does not (RFC 9112 2.2 lets it)",
    ),
    ("", "", "bare LF", "2", "", "the peer ends a line at a bare LF"),
    ("", "", "nothing$", "", "", "the peer tries again on another connection, or answers at once"),
    (
        "",
        "order",
        "1[0-9][0-9]|five|1000|interim|bad interim",
        "",
        "",
        "the peer has rules of its own for interim answers; nginx knows only 100",
    ),
    ("", "order", "", "", "", "the peer ends or keeps a request that was answered early in its own way"),
    ("nginx", "hop-by-hop", "garbage", "", "", "the peer closes without a word, or answers both at once"),
    (
        "",
        "hop-by-hop",
        "Connection names",
        "4xx",
        "2",
        "the peer ignores what Connection nominates; lbapp refuses to let it remove such a field",
    ),
    (
        "",
        "hop-by-hop",
        "",
        "2",
        "2.*unsound",
        "the peer passes a hop-by-hop field on, or its own Connection field, which the strict reader refuses",
    ),
    ("", "", "", "4xx", "[25].*unsound", "the peer passes on what lbapp refuses, and the strict reader refuses it too"),
    (
        "",
        "",
        "",
        "4xx|501",
        "(200|5xx).*[1-9] seen",
        "the peer reads this leniently and passes it on; lbapp refuses what two readers could take differently",
    ),
    ("", "", "", "4xx|5xx", "4xx|5xx", "both refuse it, with another class of status or at another moment"),
    ("", "", "", "5xx", "[23][0-9][0-9]", "the peer passes an answer on that lbapp holds to be unsound"),
    ("", "", "", "4xx|5xx", "nothing", "the peer closes the connection without an answer"),
    ("", "", "", "nothing", "", "the body never became whole: the peer answers, lbapp closes"),
    (
        "",
        "",
        "",
        "[23]",
        "5xx, 0 seen, unsound",
        "the peer sends on what the strict reader at the server refuses, such as an absolute-form target, a missing Host or a"
        " hop-by-hop field",
    ),
    ("", "", "", "[23]", "4xx|5xx|nothing", "the peer refuses what lbapp can pass on with one meaning"),
    ("", "", "", "[23]", "[23].*unsound", "the peer sends bytes on that the strict reader refuses"),
    ("", "", "", "4xx", "[23].* 0 seen", "the peer answers by itself"),
    ("", "", "", "[23]", "[23]", "the peer handles what is behind the first message in its own way"),
    ("", "", "", "4xx|5xx", "", "the peer is more lenient here"),
)


def reason_for(peer: str, vector: Vector, ours: str, theirs: str) -> str:
    """Return the reason for a difference."""
    seen = (peer, vector.group, vector.name, ours, theirs)
    for *expressions, reason in _RULES:
        if all(re.match(expression, text) for expression, text in zip(expressions, seen, strict=True)):
            return reason
    return NO_REASON
