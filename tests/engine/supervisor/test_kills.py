from __future__ import annotations

import pytest

from lbapp.engine.channel import Message
from lbapp.engine.questions import Answer, EndInFlight
from lbapp.engine.supervisor.events import ENGINE
from lbapp.engine.supervisor.kills import Kills
from lbapp.engine.supervisor.looking import Looking
from lbapp.model.states import AdminState
from tests.engine.supervisor.support import parts

pytestmark = pytest.mark.anyio


def workers_of(ended: dict[int, tuple[int, ...]], slots: list[int]) -> Looking:
    """Return what asks workers that answer with what they have ended, by slot; others stay silent."""
    looking: Looking

    def tell(slot: int, message: Message) -> None:
        assert isinstance(message, EndInFlight)
        if slot in ended:
            looking.hear(slot, Answer(message.number, ended=ended[slot]))

    looking = Looking(lambda: slots, tell)
    return looking


async def test_how_much_was_ended_is_added_up_over_workers_and_said_of_each_server_with_who_and_why() -> None:
    with parts() as own:
        kills = Kills(own.states, own.events, workers_of({0: (2, 0), 1: (1, 4)}, [0, 1]))
        done = await kills.kill([own.server("s1"), own.server("s2")], ENGINE, "it hangs")
        assert done == {
            "servers": [{"server": "app/s1", "closed": 3}, {"server": "app/s2", "closed": 4}],
            "workers_silent": 0,
        }
        first, second = own.events.after(0)
        assert (first["kind"], first["subject"], first["actor"]) == ("connections_killed", "app/s1", ENGINE)
        assert first["message"] == "3 in flight at app/s1 ended by force: it hangs"
        assert second["message"] == "4 in flight at app/s2 ended by force: it hangs"


async def test_workers_that_do_not_answer_in_time_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbapp.engine.supervisor.looking._ANSWER_TIMEOUT_S", 0.05)
    with parts() as own:
        done = await Kills(own.states, own.events, workers_of({0: (2,)}, [0, 1])).kill([own.server("s1")], ENGINE, "")
        assert done == {"servers": [{"server": "app/s1", "closed": 2}], "workers_silent": 1}
        assert "of 1 workers it is not known yet" in own.events.after(0)[0]["message"]
        nobody = await Kills(own.states, own.events, workers_of({}, [0])).kill([own.server("s1")], ENGINE, "")
        assert nobody == {"servers": [{"server": "app/s1", "closed": 0}], "workers_silent": 1}


async def test_what_an_operator_wants_of_a_server_and_its_drain_stay() -> None:
    with parts() as own:
        state, version = own.server("s1"), own.pool_version()
        own.states.set_admin(state, AdminState.DRAIN, None)
        own.drains.begin(state, 60.0)
        before = own.drains.status(state)
        await Kills(own.states, own.events, workers_of({0: (1,)}, [0])).kill([state], ENGINE, "")
        after = own.drains.status(state)
        assert before
        assert after
        assert (state.admin, after["since"], after["phase"]) == (AdminState.DRAIN, before["since"], "drained")
        assert own.pool_version() == version + 1
