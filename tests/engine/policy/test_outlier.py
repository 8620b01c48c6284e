"""Who is ejected, for how long, and what never happens."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.outlier import Ejected, Outliers, Returned, Tally
from lbapp.model.passive import Outlier

ROW = Outlier(deviations=0.0)
RATE = Outlier(consecutive_errors=0)
GOOD, BAD, NOTHING = Tally(20, 0), Tally(3, 3), Tally(0, 0)


def names(count: int) -> list[str]:
    return [f"s{number}" for number in range(count)]


def all_good(count: int, **others: Tally) -> dict[str, Tally]:
    return dict.fromkeys(names(count), GOOD) | others


def ejected(decisions: list[Ejected | Returned]) -> list[str]:
    return [each.server for each in decisions if isinstance(each, Ejected)]


def test_row_of_errors_ejects_and_one_good_answer_ends_the_row() -> None:
    outliers = Outliers(ROW)
    assert outliers.look(all_good(5, s0=BAD), 0.0) == []
    assert outliers.look(all_good(5, s0=Tally(4, 3)), 0.2) == []  # one was good
    assert outliers.look(all_good(5, s0=BAD), 0.4) == []
    assert outliers.look(all_good(5, s0=NOTHING), 0.6) == []  # silence neither adds nor ends
    assert outliers.look(all_good(5, s0=BAD), 0.8) == [Ejected("s0", "6 errors in a row", 30.8)]
    assert outliers.look(all_good(5, s0=NOTHING), 30.7) == []
    assert outliers.look(all_good(5, s0=NOTHING), 30.8) == [Returned("s0")]


def test_ejection_lasts_longer_each_time_and_good_time_shortens_it_again() -> None:
    outliers = Outliers(replace(ROW, ejection_max_s=70.0))
    now_s, lengths = 0.0, []
    for _ in range(4):
        decision = outliers.look(all_good(5, s0=Tally(9, 9)), now_s)[0]
        assert isinstance(decision, Ejected)
        lengths.append(decision.until_s - now_s)
        now_s = decision.until_s
        assert outliers.look(all_good(5, s0=NOTHING), now_s) == [Returned("s0")]
    assert lengths == [30.0, 60.0, 70.0, 70.0]
    for _ in range(4):
        now_s += 10.0
        outliers.look(all_good(5), now_s)
    decision = outliers.look(all_good(5, s0=Tally(9, 9)), now_s)[0]
    assert isinstance(decision, Ejected)
    assert decision.until_s - now_s == 30.0


def test_success_rate_far_below_the_others_ejects() -> None:
    outliers = Outliers(RATE)
    few = Tally(500, 200)
    tallies = dict.fromkeys(names(10), Tally(500, 5)) | {"s3": few}
    assert outliers.look(tallies, 0.0) == []
    assert outliers.look(dict.fromkeys(tallies, NOTHING), 10.0) == [
        Ejected("s3", "60.0% of its requests succeed, 95.1% in the pool", 40.0)
    ]


def test_success_rates_need_enough_servers_with_enough_requests() -> None:
    for servers, requests in ((4, 500), (10, 9)):
        outliers = Outliers(RATE)
        tallies = dict.fromkeys(names(servers), Tally(requests, 0)) | {"s0": Tally(requests, requests)}
        outliers.look(tallies, 0.0)
        assert outliers.look(dict.fromkeys(tallies, NOTHING), 10.0) == []


def test_alike_failures_of_all_are_nobodys_fault() -> None:
    outliers = Outliers(RATE)
    tallies = dict.fromkeys(names(10), Tally(500, 250))
    outliers.look(tallies, 0.0)
    assert outliers.look(dict.fromkeys(tallies, NOTHING), 10.0) == []


def test_server_that_goes_for_another_reason_is_no_longer_ejected() -> None:
    outliers = Outliers(ROW)
    outliers.look(all_good(5, s0=Tally(9, 9)), 0.0)
    others = all_good(5)
    del others["s0"]
    assert outliers.look(others, 1.0) == [Returned("s0")]
    assert outliers.look(all_good(5), 2.0) == []


Looks = st.lists(
    st.dictionaries(
        st.sampled_from(names(6)),
        st.builds(lambda errors, good: Tally(errors + good, errors), st.integers(0, 200), st.integers(0, 200)),
        max_size=6,
    ),
    max_size=40,
)
AnySettings = st.builds(
    Outlier,
    consecutive_errors=st.integers(0, 5),
    interval_s=st.floats(0.5, 5.0),
    servers_min=st.integers(2, 4),
    requests_min=st.integers(1, 50),
    deviations=st.floats(0.0, 3.0),
    ejection_s=st.floats(0.1, 5.0),
    ejection_max_s=st.floats(5.0, 20.0),
    ejected_percent_max=st.integers(1, 100),
)


@given(AnySettings, Looks)
def test_never_more_are_out_than_the_cap_nor_the_last_and_every_ejection_ends(
    settings: Outlier, looks: list[dict[str, Tally]]
) -> None:
    outliers, out, now_s = Outliers(settings), dict[str, float](), 0.0
    for tallies in looks:
        now_s += 0.5
        for decision in outliers.look(tallies, now_s):
            if isinstance(decision, Ejected):
                assert decision.server not in out
                assert decision.server in tallies
                assert settings.ejection_s <= decision.until_s - now_s + 1e-9 <= settings.ejection_max_s + 2e-9
                out[decision.server] = decision.until_s
                present = [name for name in out if name in tallies]
                assert len(present) <= max(1, len(tallies) * settings.ejected_percent_max // 100)
                assert len(present) < len(tallies)
            else:
                del out[decision.server]
    for decision in outliers.look({}, now_s + settings.ejection_max_s):
        assert isinstance(decision, Returned)
        del out[decision.server]
    assert not out
