"""What may be asked about decisions, and what a decision is as a message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbapp.engine.supervisor.api_decisions import address_of, check_whom, status_of
from lbapp.model.decision import Considered, Decision, PassedOver
from lbapp.model.entities import AlgorithmName, Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.hashing import Hash, KeyKind
from lbapp.model.persistence import Persistence, PersistenceType, PersistenceVerdict

PLAIN = Pool("app", ())
BY_FIELD = replace(PLAIN, algorithm=AlgorithmName.HASH, hash=Hash(KeyKind.HEADER, "X-User"))
BY_MEMORY = replace(BY_FIELD, persistence=Persistence(PersistenceType.IP))
BY_HEADER = replace(PLAIN, persistence=Persistence(PersistenceType.HEADER, header="X-User"))


@pytest.mark.parametrize(
    ("pool", "has_address", "has_key"),
    [
        (PLAIN, True, False),
        (BY_FIELD, True, False),
        (BY_FIELD, False, True),
        (BY_MEMORY, True, True),
        (BY_HEADER, False, True),
    ],
)
def test_client_is_said_by_what_the_pool_knows_it_by(pool: Pool, has_address: bool, has_key: bool) -> None:
    check_whom(pool, has_address=has_address, has_key=has_key)


@pytest.mark.parametrize(
    ("pool", "has_address", "has_key", "said"),
    [
        (PLAIN, False, False, "it is not said which client asks pool app"),
        (PLAIN, True, True, "pool app knows no client by a value"),
        (BY_MEMORY, False, True, "it is not said which client asks pool app"),
    ],
)
def test_what_says_nothing_of_the_client_is_refused(pool: Pool, has_address: bool, has_key: bool, said: str) -> None:
    with pytest.raises(RequestRefused, match=said) as caught:
        check_whom(pool, has_address=has_address, has_key=has_key)
    assert (caught.value.status, caught.value.code) == (422, "invalid_query")


def test_address_is_taken_as_the_access_log_has_it() -> None:
    assert address_of("::ffff:192.0.2.7") == ("192.0.2.7", bytes((192, 0, 2, 7)))
    assert address_of("2001:DB8:0::7")[0] == "2001:db8::7"
    with pytest.raises(RequestRefused, match="client=me is no address"):
        address_of("me")


def test_decision_is_a_message_with_null_for_what_there_is_not() -> None:
    bare: dict[str, Any] = {**status_of(Decision(1.5, "unix:", 0, "app", "first"))}
    assert {name for name, value in bare.items() if value is None} == {"port", "server", "by", "remembered", "key"}
    full = Decision(
        1.5,
        "192.0.2.7",
        4711,
        "app",
        "hash",
        server="app/s1",
        by="hash",
        considered=(Considered("app/s1", "1st of the key"),),
        candidates=1,
        passed_over=(PassedOver("app/s2", "DOWN"),),
        skipped=1,
        verdict=PersistenceVerdict.SERVER_DOWN,
        given=PersistenceVerdict.UPDATED,
        remembered="app/s2",
    )
    told = status_of(full)
    assert told["candidates"] == [{"server": "app/s1", "score": "1st of the key"}]
    assert told["skipped"] == [{"server": "app/s2", "reason": "DOWN"}]
    assert told["persistence"] == ["server_down", "updated"]
