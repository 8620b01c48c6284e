from __future__ import annotations

from dataclasses import replace

import pytest

from lbapp.engine.policy.log_filter import is_preferred, is_wanted
from lbapp.model.exchange_record import ExchangeRecord
from lbapp.model.log_filter import EVERYTHING, LogFilter, Preference
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


@pytest.mark.parametrize(
    ("record", "slow_us", "is_it"),
    [
        (RECORD, 0, False),
        (replace(RECORD, method=b"GET"), 0, False),
        (replace(RECORD, method=b"GET"), 5000, True),
        (replace(RECORD, method=b"GET"), 5001, False),
        (RECORD, 1, False),  # a TCP connection, which is not slow
        (replace(RECORD, status=500), 0, True),
        (replace(RECORD, status=499), 0, False),
        (replace(RECORD, outcome=Outcome.SERVER_CLOSED), 9_999, True),
    ],
)
def test_what_failed_and_what_was_slow_is_preferred(record: ExchangeRecord, slow_us: int, is_it: bool) -> None:
    assert is_preferred(record, Preference(slow_us)) is is_it
