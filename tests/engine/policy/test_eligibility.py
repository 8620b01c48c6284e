"""Who may get new clients: backups when nobody else can, everybody in a panic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.eligibility import Candidate, eligible

Candidates = st.lists(st.builds(Candidate, st.booleans(), st.booleans(), st.booleans()))


@given(Candidates)
def test_backups_serve_exactly_when_no_other_server_can(candidates: list[Candidate]) -> None:
    found = eligible(candidates)
    good = [each.is_wanted and each.is_healthy for each in candidates]
    others = [ok and not each.is_backup for ok, each in zip(good, candidates, strict=True)]
    assert found.chosen == (others if any(others) else good)
    assert not found.is_panic


@given(Candidates, st.integers(1, 100))
def test_panic_is_for_too_few_that_are_left_and_no_backup(candidates: list[Candidate], percent: int) -> None:
    found = eligible(candidates, percent)
    wanted = [each for each in candidates if each.is_wanted and not each.is_backup]
    left = [each for each in wanted if each.is_healthy]
    has_backup = any(each.is_wanted and each.is_healthy and each.is_backup for each in candidates)
    assert found.is_panic is (not has_backup and len(left) * 100 < percent * len(wanted))
    if found.is_panic:
        assert found.chosen == [each in wanted for each in candidates]
    else:
        assert found.chosen == eligible(candidates).chosen


@given(Candidates, st.integers(0, 100))
def test_who_is_not_wanted_gets_nobody(candidates: list[Candidate], percent: int) -> None:
    chosen = eligible(candidates, percent).chosen
    assert not any(is_chosen and not each.is_wanted for is_chosen, each in zip(chosen, candidates, strict=True))
