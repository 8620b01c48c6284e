"""A node's membership where answers of the store are lost on their way, with a real store behind the gateway."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import pytest

from lbapp.model.fleet import ClusterSettings
from tests.cluster.fake_gateway import Exchange, running_gateway
from tests.cluster.harness import Store, alive, needs_etcd, running_fleet, running_stores, until
from tests.cluster.node_double import NodeDouble

pytestmark = [pytest.mark.anyio, pytest.mark.system, needs_etcd]
KEY = base64.b64encode(b"/lbapp/f/nodes/a").decode()
OTHER = base64.b64encode(b"/other").decode()


class Losing:
    """Passes on what is asked, one request at a time, and loses the answer of the next one that writes the card of the node."""

    def __init__(self, store: Store) -> None:
        self._url = store.url
        self.is_losing = False
        self.lost = 0

    async def __call__(self, exchange: Exchange) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=None, trust_env=False) as client:
            body = json.dumps(exchange.body).encode()
            if exchange.path == "watch":
                await self._watch(client, exchange, body)
                return
            answer = await client.post(f"/v3/{exchange.path}", content=body)
            if (
                self.is_losing
                and exchange.path == "kv/txn"
                and any(_is_card(each) for each in exchange.body["success"])
            ):
                self.is_losing, self.lost = False, self.lost + 1
                # Somebody else writes as well, so that the store is not where it was when it is asked again.
                await client.post("/v3/kv/put", json={"key": OTHER, "value": ""})
                await anyio.aclose_forcefully(exchange.stream)
                return
            await exchange.answer(answer.content, answer.status_code)

    @staticmethod
    async def _watch(client: httpx.AsyncClient, exchange: Exchange, body: bytes) -> None:
        async with client.stream("POST", "/v3/watch", content=body) as answer:
            await exchange.begin()
            async for chunk in answer.aiter_raw():
                await exchange.chunk(chunk)


def _is_card(step: dict[str, dict[str, str]]) -> bool:
    return step.get("request_put", {}).get("key") == KEY


@pytest.mark.parametrize("loses_when_joining", [True, False])
async def test_a_node_whose_answer_was_lost_can_say_anew_who_it_is(tmp_path: Path, loses_when_joining: bool) -> None:
    with running_stores(tmp_path) as stores:
        behaviour = Losing(stores[0])
        behaviour.is_losing = loses_when_joining
        async with running_gateway(behaviour) as gateway:
            a = NodeDouble("a")
            settings = ClusterSettings("f", "a", (gateway.url,), lease_s=5.0)
            async with running_fleet(tmp_path, settings, a) as (fleet, _):

                def says(*listeners: str) -> Callable[[], bool]:
                    return lambda: fleet.view.members["a"].card["listeners"] == list(listeners)

                await until(lambda: alive(fleet) == ["a"])
                behaviour.is_losing = not loses_when_joining
                a.listeners = ["web"]
                await until(says("web"))
                a.listeners = ["web", "api"]
                await until(says("web", "api"))
                assert behaviour.lost == 1
                assert a.members == [["a"]]
