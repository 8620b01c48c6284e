"""Backups are in use when nobody else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.backups import in_use


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_backups_serve_exactly_when_no_other_server_can(servers: list[tuple[bool, bool]]) -> None:
    eligible, backups = [each for each, _ in servers], [each for _, each in servers]
    chosen = in_use(eligible, backups)
    others = [is_eligible and not is_backup for is_eligible, is_backup in servers]
    assert chosen == (others if any(others) else eligible)
