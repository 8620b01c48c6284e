from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster.pauses import Pauses
from lbapp.model.limits import STORE_RETRY_MAX_S, STORE_RETRY_S


@given(st.floats(0.05, 10))
def test_pauses_grow_up_to_their_bound_and_begin_again(most_s: float) -> None:
    pauses = Pauses(most_s)
    for _ in range(2):
        assert pauses.next_s() <= STORE_RETRY_S
        last = [pauses.next_s() for _ in range(20)]
        assert all(most_s / 2 <= pause_s <= most_s for pause_s in last[-5:])
        pauses.begin_again()


def test_nodes_that_fail_at_once_do_not_come_again_at_once() -> None:
    several = [Pauses() for _ in range(20)]
    for _ in range(10):
        pauses_s = {pauses.next_s() for pauses in several}
    assert len(pauses_s) == 20
    assert max(pauses_s) <= STORE_RETRY_MAX_S
