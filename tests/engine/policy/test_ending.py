from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.ending import phase_of
from lbapp.model.outcomes import ENDED_BY, Outcome, Phase

FAR = {"has_answered": False, "was_sent": False, "has_server": False, "has_waited": False}


@given(st.sampled_from(Outcome), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_only_what_was_complete_has_no_phase_and_nobody_who_ended_it(
    outcome: Outcome, has_answered: bool, was_sent: bool, has_server: bool, has_waited: bool
) -> None:
    phase = phase_of(
        outcome, has_answered=has_answered, was_sent=was_sent, has_server=has_server, has_waited=has_waited
    )
    assert (phase is None) is (outcome is Outcome.COMPLETED)
    assert (outcome in ENDED_BY) is (phase is not None)


@pytest.mark.parametrize(
    ("outcome", "how_far", "phase"),
    [
        (Outcome.CLIENT_BAD_REQUEST, {}, Phase.REQUEST),
        (Outcome.CLIENT_GONE, {}, Phase.REQUEST),
        (Outcome.CLIENT_GONE, {"has_waited": True}, Phase.QUEUE),
        (Outcome.QUEUE_TIMEOUT, {"has_waited": True}, Phase.QUEUE),
        (Outcome.CLIENT_GONE, {"has_server": True}, Phase.CONNECT),
        (Outcome.CONNECT_FAILED, {"has_server": True}, Phase.CONNECT),
        (Outcome.CLIENT_GONE, {"has_server": True, "was_sent": True}, Phase.HEADERS),
        (Outcome.RESPONSE_TIMEOUT, {"has_server": True}, Phase.HEADERS),
        (Outcome.SERVER_CLOSED, {"has_server": True, "was_sent": True, "has_answered": True}, Phase.BODY),
        (Outcome.ABORTED, {"has_server": True, "was_sent": True, "has_answered": True}, Phase.BODY),
    ],
)
def test_phase_is_how_far_an_exchange_had_come(outcome: Outcome, how_far: dict[str, bool], phase: Phase) -> None:
    assert phase_of(outcome, **{**FAR, **how_far}) is phase
