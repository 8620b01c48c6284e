"""A fleet whose store turns hostile: whatever comes from it, what is known holds, and nothing ends by it."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest

from lbapp.model.fleet import ClusterSettings, StoreState
from lbapp.model.journal import Setting
from lbapp.model.limits import KIB, MIB
from tests.cluster.fake_gateway import Behaviour, Exchange, always, hang, running_gateway
from tests.cluster.harness import alive, is_synced, needs_etcd, running_fleet, running_stores, until
from tests.cluster.node_double import NodeDouble, intent
from tests.tls_material import Authority

pytestmark = [pytest.mark.anyio, pytest.mark.system, needs_etcd]
HEADER = {"header": {"revision": "3"}}


async def refuse(exchange: Exchange) -> None:
    await exchange.stream.aclose()


async def endless_line(exchange: Exchange) -> None:
    await exchange.begin()
    while True:
        await exchange.chunk(b"x" * 64 * KIB)


async def half(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await exchange.stream.aclose()


async def anything(exchange: Exchange) -> None:
    """Answer in a shape that may be right, with values of any type in it."""
    chosen = random.Random(len(exchange.gateway.asked))

    def value(depth: int = 0) -> object:
        kinds: list[object] = [
            "",
            "YQ==",
            "7",
            -1,
            1e308,
            True,
            None,
            "9" * 40,
            "\ud800",
            2**70,
            "L2xiYXBwL2Yvbm9kZXMvYQ==",
        ]
        if depth < 3 and chosen.random() < 0.6:
            names = (
                "header",
                "kvs",
                "key",
                "value",
                "revision",
                "result",
                "events",
                "kv",
                "type",
                "canceled",
                "TTL",
                "ID",
            )
            return {name: value(depth + 1) for name in names if chosen.random() < 0.5}
        return [value(depth + 1)] if depth < 3 and chosen.random() < 0.3 else chosen.choice(kinds)

    await exchange.answer(value())


@pytest.mark.parametrize(
    "behave",
    [
        refuse,
        hang,
        half,
        endless_line,
        anything,
        always(b"\xff" * 100),
        always({"error": "etcdserver: user name is empty", "code": 3}, 400),
        always({"error": "no"}, 500),
        always({"error": "permission denied"}, 403),
        always(
            HEADER
            | {"kvs": [{"key": "L2xiYXBwL2Yvbm9kZXMvYQ==", "value": "/w==", "mod_revision": "3"}], "count": "999999"}
        ),
        always({"header": {"revision": "9223372036854775807"}, "kvs": [], "count": "-5"}),
    ],
)
async def test_whatever_the_store_says_members_and_intents_stay(behave: Behaviour, tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        node = NodeDouble("a")
        async with running_gateway(store=stores[0].port) as gateway:
            settings = ClusterSettings("f", "a", (gateway.url,), lease_s=30.0)
            async with running_fleet(tmp_path, settings, node) as (fleet, _):
                await until(lambda: is_synced(fleet) and alive(fleet) == ["a"])
                await fleet.propose([intent("app/s1")], {})
                await until(lambda: node.made)
                await gateway.become(behave)
                await until(lambda: fleet.view.state is StoreState.STALE or node.told("fleet_store_lost"))
                await until(lambda: len(gateway.asked) > 3)
                assert alive(fleet) == ["a"]
                assert node.members == [["a"]]
                assert [each.value for each in node.made] == ["drain"]
                await gateway.become(None)
                await until(lambda: is_synced(fleet) and ("app/s1", Setting.STATE) in fleet.view.intents)
                await until(lambda: stores[0].has("nodes/a"))
                assert node.members == [["a"]]


async def test_a_store_that_sends_without_an_end_costs_no_memory_without_an_end(tmp_path: Path) -> None:
    async with running_gateway(endless_line) as gateway:
        settings = ClusterSettings("f", "a", (gateway.url,))
        tracemalloc.start()
        try:
            async with running_fleet(tmp_path, settings, NodeDouble("a")):
                await until(lambda: gateway.sent_bytes > 100 * MIB, 60)
            assert tracemalloc.get_traced_memory()[1] < 50 * MIB
        finally:
            tracemalloc.stop()


async def test_values_of_others_that_are_nonsense_are_named_once_and_leave_what_was_known(tmp_path: Path) -> None:
    with running_stores(tmp_path) as stores:
        node = NodeDouble("a")
        async with running_fleet(tmp_path, ClusterSettings("f", "a", (stores[0].url,), lease_s=30.0), node) as (
            fleet,
            _,
        ):
            await until(lambda: alive(fleet) == ["a"])
            await fleet.propose([intent("app/s1")], {})
            await until(lambda: node.made)
            for nonsense in ("", "{", '{"value": "explode"}', "[" * 9000, "NaN"):
                stores[0].put("intents/state/app/s1", nonsense)
                stores[0].put("configuration/current", nonsense)
                stores[0].put("state/a", nonsense)
                stores[0].put("a/key/of/ours", nonsense)
            await until(lambda: len(node.told("fleet_nonsense")) >= 3 and node.told("fleet_not_understood"))
            stores[0].put("nodes/b", "{}")
            await until(lambda: alive(fleet) == ["a", "b"])
            assert sorted(message.split(" ")[0].rstrip(",") for message in node.told("fleet_nonsense")) == [
                "/lbapp/f/configuration/current",
                "/lbapp/f/intents/state/app/s1",
                "/lbapp/f/state/a",
            ]
            (not_understood,) = node.told("fleet_not_understood")  # a key that only a later version may know
            assert not_understood.startswith("/lbapp/f/a is not known to this version of lbapp")
            assert fleet.view.intents["app/s1", Setting.STATE].value == "drain"
            assert fleet.view.members["a"].state
            assert len(node.made) == 1


async def test_a_user_with_a_password_over_tls_stays_in_touch_when_tokens_are_lost(tmp_path: Path) -> None:
    authority = Authority()
    ca_file, pair = authority.write(tmp_path), authority.issue("127.0.0.1").write(tmp_path, "etcd")
    (tmp_path / "password").write_text("secret\n")
    options = ["--cert-file", pair.file, "--key-file", pair.key]
    with running_stores(tmp_path, options=options, ca_file=ca_file) as stores:
        stores[0].need_password("lb", "secret", "/lbapp/f/")
        settings = ClusterSettings(
            "f", "a", (stores[0].url,), "lb", str(tmp_path / "password"), str(ca_file), lease_s=30.0
        )
        node = NodeDouble("a")
        async with running_fleet(tmp_path, settings, node) as (fleet, _):
            await until(lambda: alive(fleet) == ["a"])
            stores[0].kill()
            await until(lambda: fleet.view.state is StoreState.STALE)
            stores[0].start()  # it has forgotten all tokens
            await until(lambda: is_synced(fleet))
            await fleet.propose([intent("app/s1")], {})
            await until(lambda: node.made)
            assert node.members == [["a"]]
        wrong = ClusterSettings("other", "a", (stores[0].url,), "lb", str(tmp_path / "password"), str(ca_file))
        async with running_fleet(tmp_path, wrong, NodeDouble("x")) as (fleet, _):
            await until(lambda: "permission denied" in fleet.view.problem)
            assert fleet.view.state is StoreState.STARTING
