from __future__ import annotations

from dataclasses import replace

import pytest

from lbapp.engine.policy.log_filter import is_wanted
from lbapp.model.exchange_record import ExchangeRecord
from lbapp.model.log_filter import EVERYTHING, LogFilter
from lbapp.model.outcomes import Outcome

RECORD = ExchangeRecord(
    0.0, "192.0.2.1", 1, "web", target=b"/api/x", status=200, pool="app", server="app/s1", total_us=5000
)


@pytest.mark.parametrize(
    ("wanted", "is_it"),
    [
        (EVERYTHING, True),
        (LogFilter(listener="web", pool="app", server="app/s1", client="192.0.2.1"), True),
        (LogFilter(listener="other"), False),
        (LogFilter(pool="other"), False),
        (LogFilter(server="app/s2"), False),
        (LogFilter(client="192.0.2.2"), False),
        (LogFilter(path=b"/api/"), True),
        (LogFilter(path=b"/x"), False),
        (LogFilter(slower_us=5000), True),
        (LogFilter(slower_us=5001), False),
        (LogFilter(status_min=200, status_max=299), True),
        (LogFilter(status_min=500, status_max=599), False),
        (LogFilter(is_failed=True), False),
    ],
)
def test_all_that_a_filter_asks_for_has_to_hold(wanted: LogFilter, is_it: bool) -> None:
    assert is_wanted(RECORD, wanted) is is_it


def test_failed_is_what_was_not_complete_and_what_is_a_5xx() -> None:
    failed = LogFilter(is_failed=True)
    assert is_wanted(replace(RECORD, status=503), failed)
    assert is_wanted(replace(RECORD, outcome=Outcome.CLIENT_GONE), failed)
