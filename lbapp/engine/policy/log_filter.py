"""Whether an exchange is one that somebody wants to see, or to see before others.

Responsible for these decisions. Knows nothing of who asks. Invariant: a filter that asks for nothing takes everything.
"""

from __future__ import annotations

from lbapp.model.exchange_record import ExchangeRecord
from lbapp.model.log_filter import LogFilter, Preference
from lbapp.model.outcomes import Outcome

_FAILED_FROM = 500


def is_wanted(record: ExchangeRecord, wanted: LogFilter) -> bool:
    """Say whether a record is what a filter asks for."""
    if not _is_from_there(record, wanted) or record.total_us < wanted.slower_us:
        return False
    if wanted.status_max and not wanted.status_min <= record.status <= wanted.status_max:
        return False
    if wanted.is_failed and not _has_failed(record):
        return False
    return record.target.startswith(wanted.path)


def is_preferred(record: ExchangeRecord, preference: Preference) -> bool:
    """Say whether a record is to be seen before others."""
    slow_us = preference.slow_us
    return _has_failed(record) or (slow_us > 0 and record.total_us >= slow_us and bool(record.method))


def _has_failed(record: ExchangeRecord) -> bool:
    return record.outcome is not Outcome.COMPLETED or record.status >= _FAILED_FROM


def _is_from_there(record: ExchangeRecord, wanted: LogFilter) -> bool:
    pairs = (
        (wanted.listener, record.listener),
        (wanted.pool, record.pool),
        (wanted.server, record.server),
        (wanted.client, record.client),
    )
    return all(not name or name == is_there for name, is_there in pairs)
