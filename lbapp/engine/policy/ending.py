"""How far an exchange had come when it was ended.

Responsible for that one decision. Knows nothing of connections. Invariant: an exchange that was complete has no phase, any other
has exactly one.
"""

from __future__ import annotations

from lbapp.model.outcomes import PHASE_OF, Outcome, Phase

_SERVERS_FAULT = frozenset((Outcome.RESPONSE_TIMEOUT, Outcome.RESPONSE_BROKEN, Outcome.SERVER_CLOSED))


def phase_of(
    outcome: Outcome, *, has_answered: bool, was_sent: bool, has_server: bool, has_waited: bool
) -> Phase | None:
    """Return the phase of an exchange that ended so; None: it was complete.

    `has_answered`: an answer, or a tunnel, had begun; `was_sent`: the request, to the last server; `has_server`: one was chosen;
    `has_waited`: for room.
    """
    if outcome is Outcome.COMPLETED:
        return None
    if has_answered:
        return Phase.BODY
    if outcome in PHASE_OF:
        return PHASE_OF[outcome]
    if was_sent or outcome in _SERVERS_FAULT:
        return Phase.HEADERS
    if has_server:
        return Phase.CONNECT
    return Phase.QUEUE if has_waited else Phase.REQUEST


def phase_before_server(outcome: Outcome) -> Phase | None:
    """Return the phase of what came to no pool: answered by lbapp itself, or not answered at all; None: it was complete."""
    return phase_of(outcome, has_answered=False, was_sent=False, has_server=False, has_waited=False)
