"""What operators are told when an answer of the store is lost, refused or nonsense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from lbapp.cluster import gateway, values
from lbapp.cluster.etcd import Etcd
from lbapp.cluster.keys import Keys
from lbapp.cluster.writing import Writer
from lbapp.model import limits
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import ClusterSettings, FleetIntent
from lbapp.model.journal import Setting
from tests.cluster.fake_gateway import Behaviour, Exchange, FakeGateway, always, hang, running_gateway
from tests.cluster.node_double import intent

pytestmark = pytest.mark.anyio
KEYS = Keys("f")
WANTED = intent("app/s1")


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_REQUEST_TIMEOUT_S", 0.5)


def held_by(found: FleetIntent, revision: int, other: Mapping[str, object] | None = None) -> dict[str, object]:
    """Return how a store refuses a comparison, as it has this, but for what is `other` in it."""
    value = json.dumps({**json.loads(values.intent(found)), **(other or {})}).encode()
    value = values.intent(found) if other is None else value
    pair = {**gateway.put(KEYS.intent(found.key), value), "mod_revision": str(revision)}
    return {"header": {"revision": "9"}, "responses": [{"response_range": {"header": {}, "kvs": [pair], "count": "1"}}]}


def client(at: FakeGateway) -> Etcd:
    return Etcd(ClusterSettings(endpoints=(at.url,)))


async def test_an_answer_that_was_lost_is_no_refusal_of_what_was_written_by_it() -> None:
    async def lose_the_first(exchange: Exchange) -> None:
        if len(exchange.gateway.asked) == 1:
            await exchange.stream.aclose()
        else:
            await exchange.answer(held_by(WANTED, 7))

    async with running_gateway(lose_the_first) as at, client(at) as etcd:
        assert await Writer(etcd, KEYS).propose([WANTED], {}) == [replace(WANTED, revision=7)]
        assert len(at.asked) == 2


@pytest.mark.parametrize(
    ("behave", "code", "message", "hint"),
    [
        (hang, "fleet_unreachable", "whether it was written is not known", "before you repeat"),
        (always(b"nonsense"), "fleet_unreachable", "whether it was written is not known", "before you repeat"),
        (
            always({"error": "etcdserver: no leader"}, 503),
            "fleet_unreachable",
            "no leader; whether",
            "before you repeat",
        ),
        (
            always({"error": "etcdserver: permission denied"}, 403),
            "fleet_refused",
            "nothing was changed",
            "Without --fleet",
        ),
        (
            always({"error": "etcdserver: mvcc: database space exceeded"}, 429),
            "fleet_refused",
            "space exceeded",
            "Without",
        ),
        (
            always(held_by(intent("app/s1", "maint", by="bob"), 8)),
            "changed",
            "made maint by bob at n1",
            "Look at it again",
        ),
        (
            always(held_by(WANTED, 8, {"value": "warm", "node": "lb2"})),
            "not_understood",
            "of state of app/s1, as lb2 has written it, is nothing that this version of lbapp understands (value is no state)",
            "at a node of the version that wrote it",
        ),
    ],
)
async def test_an_operator_is_told_what_became_of_a_change(
    behave: Behaviour, code: str, message: str, hint: str
) -> None:
    async with running_gateway(behave) as at, client(at) as etcd:
        with pytest.raises(RequestRefused) as refused:
            await Writer(etcd, KEYS).propose([WANTED], {})
        assert refused.value.code == code
        assert message in refused.value.message
        assert hint in refused.value.hint


async def test_what_the_store_would_not_take_or_nobody_could_read_is_not_asked() -> None:
    many = [intent(f"app/s{at}") for at in range(limits.FLEET_INTENTS_AT_ONCE_MAX + 1)]
    wrong = [replace(WANTED, by="\x00"), replace(WANTED, on="a\nb"), replace(WANTED, on="x" * 2000)]
    wrong.append(replace(WANTED, setting=Setting.WEIGHT))
    async with running_gateway(always({})) as at, client(at) as etcd:
        writer = Writer(etcd, KEYS)
        with pytest.raises(RequestRefused, match="more than the store takes at once") as refused:
            await writer.propose(many, {})
        assert refused.value.status == 413
        for each in wrong:
            with pytest.raises(RequestRefused, match="nothing was changed") as refused:
                await writer.propose([each], {})
            assert refused.value.code == "unwritable"
        assert await writer.propose([], {}) == []
        assert at.asked == []
