"""Files that may be open, and the clients that there is room for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.model.descriptors import descriptors_for, pipes_max, room_for_clients
from lbapp.model.limits import DESCRIPTORS_PER_CLIENT, DESCRIPTORS_SPARE, PIPES_MAX


def test_room_is_what_the_descriptors_leave() -> None:
    for descriptors in (256, 1024, 20_000, 1_000_000):
        clients, pipes = room_for_clients(descriptors), pipes_max(descriptors)
        used = clients * DESCRIPTORS_PER_CLIENT + 2 * pipes + DESCRIPTORS_SPARE
        assert descriptors - DESCRIPTORS_PER_CLIENT < used <= descriptors
        assert 2 * pipes <= descriptors // 16
    assert pipes_max(1_000_000) == PIPES_MAX
    assert room_for_clients(1) == 1


@given(st.integers(2, 1_000_000))
def test_fewest_descriptors_for_clients_have_room_for_them_and_one_less_has_not(clients: int) -> None:
    needed = descriptors_for(clients)
    assert room_for_clients(needed) >= clients > room_for_clients(needed - 1)
