from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.capacity import Left, Peak, Peaks, too_little
from lbapp.model.limits import PEAK_FACTOR, PEAK_MIN, PEAK_MINUTES

WHEN = "14:05"


def hundred(_server: int) -> int:
    return 100


def left(*servers: tuple[int, int, int]) -> list[Left]:
    """Servers s1, s2, ... of these parts, limits and most that they have carried."""
    return [Left(f"app/s{number}", *figures) for number, figures in enumerate(servers, 1)]


def test_peaks_are_those_of_the_last_hour_and_no_more_is_remembered() -> None:
    peaks = Peaks()
    assert (peaks.peak(0.0), peaks.of(1, 0.0)) == (Peak(), 0)
    peaks.note(0.0, {1: 50, 2: 1}, hundred)
    peaks.note(1.0, {1: 5, 2: 9}, hundred)
    assert (peaks.peak(2.0), peaks.of(1, 2.0), peaks.of(2, 2.0)) == (Peak(51, 0.0, (100, 100)), 50, 9)
    for minute in range(1, 200):
        peaks.note(60.0 * minute, {1: 3}, hundred)
    last_s = 60.0 * 199
    assert (peaks.peak(last_s), peaks.of(1, last_s), peaks.of(2, last_s)) == (Peak(3, last_s, (100,)), 3, 0)
    assert peaks.peak(last_s + 60.0 * PEAK_MINUTES) == Peak(), "also when nobody has looked since"


def test_peak_knows_when_it_was_last_and_which_weight_carried_it() -> None:
    peaks, weights = Peaks(), {1: 100, 2: 1, 3: 256}
    peaks.note(10.0, {1: 4, 2: 0, 3: 6}, weights.__getitem__)
    weights[1] = 7
    peaks.note(20.0, {1: 5, 3: 5}, weights.__getitem__)
    assert peaks.peak(30.0) == Peak(10, 10.0, (100, 256)), "those that had something in flight, by the weight they had"
    peaks.note(61.0, {1: 1, 2: 9}, weights.__getitem__)
    assert peaks.peak(70.0) == Peak(10, 61.0, (7, 1))


def test_limits_say_what_servers_can_carry_be_they_ever_so_small() -> None:
    assert too_little(left((100, 10, 8), (100, 10, 8)), 20, 300, WHEN) == ""
    assert (
        too_little(left((100, 10, 8), (100, 10, 8)), 21, 300, WHEN)
        == "21 were in flight at 14:05, the peak of the last hour; the 2 servers left may have 20 together"
    )
    assert "the 1 server left may have 5 together" in too_little(left((100, 5, 5)), PEAK_MIN - 1, 200, WHEN)


def test_what_no_server_has_carried_half_of_is_too_much() -> None:
    servers = left((100, 0, 10), (100, 0, 12))
    assert too_little(servers, 48, 600, WHEN) == ""
    assert too_little(servers, 60, 600, WHEN) == (
        "60 were in flight at 14:05, the peak of the last hour; of the 2 servers left app/s1 would get 30 "
        "and has had 10 at most, and by weight no other more than 12"
    )


def test_light_server_that_is_left_is_no_help_to_a_heavy_one() -> None:
    for light in (0, 1, 10):
        told = too_little(left((100, 0, 10), (1, 0, light)), 1000, 1000, WHEN)
        assert told.endswith("of the 2 servers left app/s1 would get 990 and has had 10 at most"), light
        assert "app/s2 would get 990" in too_little(left((1, 0, light), (100, 0, 10)), 1000, 1000, WHEN)


def test_fresh_server_is_trusted_with_what_others_of_its_weight_have_carried() -> None:
    assert too_little(left((100, 0, 500), (100, 0, 0)), 1000, 400, WHEN) == ""
    assert too_little(left((100, 0, 500), (1, 0, 0)), 1000, 400, WHEN) == "", "one that is tried out stops nobody"
    assert "app/s1 would get 1000 and has had 0" in too_little(left((100, 0, 0)), 1000, 400, WHEN)
    assert too_little(left(*[(100, 0, 0)] * 4), 1000, 400, WHEN) == "", "four for four"
    assert too_little(left((400, 0, 0)), 1000, 400, WHEN) == "", "one as heavy as the four"
    assert "and by weight no other more than 50" in too_little(left((200, 0, 0), (100, 0, 50)), 900, 900, WHEN)


def test_what_servers_with_limits_have_no_room_for_goes_to_those_without() -> None:
    servers = left((100, 10, 10), (100, 0, 100), (50, 5, 5))
    assert too_little(servers, 215, 4000, WHEN) == ""
    assert "app/s2 would get 201 and has had 100" in too_little(servers, 216, 4000, WHEN)
    roomy = left((100, 500, 10), (100, 0, 100))
    assert too_little(roomy, 400, 4000, WHEN) == "", "half each: there is room for it"


def test_nothing_is_refused_where_nothing_is_known() -> None:
    assert too_little(left((1, 0, 0)), 0, 0, WHEN) == ""
    assert too_little(left((1, 0, 0)), 1000, 0, WHEN) == "", "of who carried it"
    assert too_little(left((1, 0, 1)), PEAK_MIN - 1, 100, WHEN) == ""
    assert too_little([], 1000, 100, WHEN) == ""


WEIGHTS = st.integers(1, 256)


@given(st.lists(WEIGHTS, min_size=1, max_size=20), st.integers(0, 10_000), st.data())
def test_taking_away_up_to_half_of_the_weight_is_never_refused(
    weights: list[int], peak: int, data: st.DataObject
) -> None:
    """However unevenly the peak was spread: two servers at 51 and 50 are as two at 100 and 1."""
    kept = data.draw(st.lists(st.sampled_from(range(len(weights))), unique=True))
    if sum(weights[place] for place in kept) * PEAK_FACTOR < sum(weights):
        kept = list(range(len(weights)))
    carried = data.draw(st.lists(st.integers(0, peak), min_size=len(weights), max_size=len(weights)))
    servers = left(*[(weights[place], 0, carried[place]) for place in kept])
    assert too_little(servers, peak, sum(weights), WHEN) == ""


SERVERS = st.lists(st.tuples(WEIGHTS, st.just(0), st.integers(0, 1_000)), min_size=1, max_size=12)


@given(SERVERS, st.integers(PEAK_MIN, 100_000), st.integers(1, 5_000))
def test_every_server_left_is_trusted_with_its_own_share_or_it_is_refused(
    figures: list[tuple[int, int, int]], peak: int, parts_at_peak: int
) -> None:
    servers, total = left(*figures), sum(weight for weight, _, _ in figures)

    def is_trusted(server: Left, with_room_for: float) -> bool:
        known = [each.carried * min(1.0, server.part / each.part) for each in servers]
        trust = PEAK_FACTOR * max(*known, server.carried, peak * server.part / parts_at_peak)
        return peak * server.part / total <= trust * with_room_for

    rounding = 1e-9
    if too_little(servers, peak, parts_at_peak, WHEN):
        assert any(not is_trusted(server, 1 - rounding) for server in servers)
    else:
        assert all(is_trusted(server, 1 + rounding) for server in servers)


@given(SERVERS, st.integers(PEAK_MIN, 100_000), st.integers(1, 5_000))
def test_what_is_too_little_for_a_peak_is_so_for_a_higher_one_that_the_same_servers_carried(
    figures: list[tuple[int, int, int]], peak: int, parts_at_peak: int
) -> None:
    servers = left(*figures)
    if too_little(servers, peak, parts_at_peak, WHEN):
        assert too_little(servers, peak + 1, parts_at_peak, WHEN)


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=12), st.integers(0, 12_000))
def test_servers_that_all_have_limits_carry_their_sum_and_no_more(limits: list[int], peak: int) -> None:
    servers = left(*[(100, limit, 0) for limit in limits])
    assert bool(too_little(servers, peak, 100 * len(limits), WHEN)) is (peak > sum(limits))
