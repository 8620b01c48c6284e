"""The client of the store against gateways that misbehave in every way that can be thought of."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import anyio
import pytest

from lbapp.cluster import gateway as messages
from lbapp.cluster.etcd import (
    Compacted,
    Etcd,
    LeaseGone,
    Silent,
    StoreError,
    StoreRefused,
    StoreUnreachable,
)
from lbapp.model import limits
from lbapp.model.fleet import ClusterSettings
from lbapp.model.limits import KIB, MIB
from tests.cluster.fake_gateway import Behaviour, Exchange, FakeGateway, always, hang, running_gateway
from tests.system.harness import free_port

pytestmark = pytest.mark.anyio
RANGE = {"header": {"revision": "7"}, "kvs": [{"key": "YQ==", "value": "Yg==", "mod_revision": "3"}], "count": "1"}
CREATED = b'{"result":{"header":{"revision":"7"},"created":true}}\n'


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(limits, "STORE_SILENCE_S", 0.5)


def client(*gateways: FakeGateway, user: str = "", password_file: str | None = None) -> Etcd:
    endpoints = tuple(each.url for each in gateways)
    return Etcd(ClusterSettings(endpoints=endpoints, user=user, password_file=password_file))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'{"header": 1}',
        b'{"header": {"revision": "1e400"}}',
        b'{"header": {"revision": 1e400}}',
        b'{"header": {"revision": NaN}}',
        b'{"header": {"revision": ' + b"9" * 5000 + b"}}",
        b'{"header": {"revision": "99999999999999999999"}}',
        b'{"header": {}, "kvs": {}}',
        b'{"header": {}, "kvs": [1]}',
        b'{"header": {}, "kvs": [{"key": 1}]}',
        b'{"header": {}, "kvs": [{"key": "not base64!"}]}',
        b'{"header": {}, "kvs": [{"key": "YQ==", "mod_revision": true}]}',
        b"[" * 100_000,
        b'{"header": ' * 10_000,
        gzip.compress(b"{}" * 100, mtime=0),
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_an_answer_that_is_nonsense_is_no_answer(body: bytes) -> None:
    async with running_gateway(always(body)) as gateway, client(gateway) as etcd:
        with pytest.raises(StoreUnreachable, match="answers nonsense"):
            await etcd.range(b"a")


async def test_an_answer_without_an_end_is_left_when_it_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_BODY_BYTES_MAX", 1 * MIB)
    monkeypatch.setattr(limits, "STORE_REQUEST_TIMEOUT_S", 5.0)

    async def endless(exchange: Exchange) -> None:
        await exchange.begin()
        while True:
            await exchange.chunk(b"x" * 64 * KIB)

    async with running_gateway(endless) as gateway, client(gateway) as etcd:
        with pytest.raises(StoreUnreachable, match="more than 1048576 bytes"):
            await etcd.range(b"a")
        assert gateway.sent_bytes < 32 * MIB  # what two tries have read, and what sockets hold


async def test_a_head_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_REQUEST_TIMEOUT_S", 5.0)

    async def endless(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await exchange.send(b"X-Field: " + b"x" * KIB + b"\r\n")

    async with running_gateway(endless) as gateway, client(gateway) as etcd:
        with pytest.raises(StoreUnreachable, match="has broken off"):
            await etcd.range(b"a")


async def test_an_answer_that_comes_byte_by_byte_is_left_when_its_time_is_over() -> None:
    async def drip(exchange: Exchange) -> None:
        await exchange.begin()
        while True:
            await exchange.chunk(b" ")
            await anyio.sleep(0.02)

    async with running_gateway(drip) as gateway, client(gateway) as etcd:
        with pytest.raises(StoreUnreachable, match=r"does not answer within 0\.5 s") as error:
            await etcd.range(b"a")
        assert error.value.is_unknown


async def test_a_long_answer_that_keeps_coming_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_BYTES_PER_S_MIN", 1 * KIB)
    answer = json.dumps({**RANGE, "padding": "x" * 3 * KIB}).encode()

    async def slowly(exchange: Exchange) -> None:
        await exchange.begin()
        for at in range(0, len(answer), KIB):
            await exchange.chunk(answer[at : at + KIB])
            await anyio.sleep(0.3)  # in all longer than an answer of no length has
        await exchange.send(b"0\r\n\r\n")

    async with running_gateway(slowly) as gateway, client(gateway) as etcd:
        assert (await etcd.range(b"a")).revision == 7
        assert len(gateway.asked) == 1


async def test_half_an_answer_is_no_answer_and_may_have_been_done() -> None:
    async def half(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        await exchange.stream.aclose()

    async with running_gateway(half) as gateway, client(gateway) as etcd:
        with pytest.raises(StoreUnreachable, match="has broken off") as error:
            await etcd.put(b"a", b"b")
        assert error.value.is_unknown


@pytest.mark.parametrize("behave", [hang, always(b"{}", 503)])
async def test_a_refusal_after_no_answer_does_not_say_that_nothing_was_done(behave: Behaviour) -> None:
    refusal = always(b'{"message": "permission denied"}', 403)
    async with running_gateway(behave) as bad, running_gateway(refusal) as other, client(bad, other) as etcd:
        with pytest.raises(StoreUnreachable, match="permission denied") as error:
            await etcd.put(b"a", b"b")
        assert error.value.is_unknown


async def test_where_nobody_listens_nothing_was_done() -> None:
    settings = ClusterSettings(endpoints=(f"http://127.0.0.1:{free_port()}",))
    async with Etcd(settings) as etcd:
        with pytest.raises(StoreUnreachable, match="cannot be reached: Connection refused") as error:
            await etcd.put(b"a", b"b")
        assert not error.value.is_unknown


@pytest.mark.parametrize("behave", [hang, always(b"", 500), always(b"{}", 503), always(b"no json"), always(b"", 404)])
async def test_the_next_endpoint_is_asked_and_stays_the_first(behave: Behaviour) -> None:
    async with running_gateway(behave) as bad, running_gateway(always(RANGE)) as good, client(bad, good) as etcd:
        for _ in range(3):
            found = await etcd.range(b"a")
            assert found == messages.Found(7, (messages.Pair(b"a", b"b", 3),), 1)
        assert (len(bad.asked), len(good.asked)) == (1, 3)
        assert etcd.endpoint == good.url


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with running_gateway(always(RANGE)) as gateway, client(gateway) as etcd:
        assert (await etcd.range(b"a")).revision == 7


async def test_all_endpoints_are_asked_once_before_it_is_given_up() -> None:
    bad = always(b"", 500)
    async with running_gateway(hang) as one, running_gateway(bad) as two, client(one, two, one) as etcd:
        with pytest.raises(StoreUnreachable):
            await etcd.range(b"a")
        assert (len(one.asked), len(two.asked)) == (2, 1)


async def test_a_refusal_is_said_in_the_words_of_the_store_and_no_other_endpoint_asked() -> None:
    answer = {"error": "etcdserver: permission denied\u0000", "code": 7}
    async with (
        running_gateway(always(answer, 403)) as one,
        running_gateway(always(RANGE)) as two,
        client(one, two) as etcd,
    ):
        with pytest.raises(StoreRefused, match=r"says: permission denied$"):
            await etcd.range(b"a")
        assert not two.asked


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"result": {"header": {"revision": "1"}, "ID": "7"}}),
        (200, {"result": {"header": {"revision": "1"}, "ID": "7", "TTL": "-1"}}),
        (404, {"error": "etcdserver: requested lease not found", "code": 5}),
    ],
)
async def test_a_lease_that_has_ended_is_told_from_a_store_that_is_gone(status: int, body: object) -> None:
    async with running_gateway(always(body, status)) as gateway, client(gateway) as etcd:
        with pytest.raises(LeaseGone):
            await etcd.keep_alive(7)


# -- tokens --------------------------------------------------------------------------------------------------------------


class TokenGateway:
    """Knows one user and the tokens that it gave; `lose` makes it forget them."""

    def __init__(self) -> None:
        self.given = 0
        self.known: set[str] = set()

    def lose(self) -> None:
        self.known.clear()

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.path == "auth/authenticate":
            if exchange.body != {"name": "lb", "password": "secret"}:
                await exchange.answer({"error": "etcdserver: authentication failed", "code": 3}, 400)
                return
            self.given += 1
            self.known.add(f"token.{self.given}")
            await exchange.answer({"header": {}, "token": f"token.{self.given}"})
        elif exchange.path == "watch":
            is_known = exchange.fields.get("authorization") in self.known
            await exchange.begin()
            ended = b"" if is_known else b',"canceled":true,"cancel_reason":"rpc error: permission denied"'
            await exchange.chunk(b'{"result":{"header":{"revision":"7"},"created":true' + ended + b"}}\n")
            await anyio.sleep_forever()
        elif exchange.fields.get("authorization") not in self.known:
            await exchange.answer({"error": "etcdserver: invalid auth token", "code": 16}, 401)
        else:
            await exchange.answer(RANGE)


def password_file(folder: Path, text: str = "secret\n") -> str:
    (folder / "password").write_text(text)
    return str(folder / "password")


async def test_a_token_that_is_lost_is_renewed_and_the_call_made_again(tmp_path: Path) -> None:
    tokens = TokenGateway()
    async with (
        running_gateway(tokens) as gateway,
        client(gateway, user="lb", password_file=password_file(tmp_path)) as etcd,
    ):
        await etcd.range(b"a")
        await etcd.range(b"a")
        assert tokens.given == 1
        tokens.lose()
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(etcd.range, b"a")
        assert tokens.given == 2


async def test_a_watch_that_is_created_and_canceled_is_a_failure_and_has_the_token_renewed(tmp_path: Path) -> None:
    tokens = TokenGateway()
    async with (
        running_gateway(tokens) as gateway,
        client(gateway, user="lb", password_file=password_file(tmp_path)) as etcd,
    ):
        await etcd.range(b"a")
        tokens.lose()
        with pytest.raises(StoreRefused, match="ends the watch: rpc error: permission denied"):
            async with etcd.watch(b"a", b"b", 1) as watch:
                await anext(watch)
        async with etcd.watch(b"a", b"b", 1) as watch:
            assert (await anext(watch)).revision == 7


@pytest.mark.parametrize(
    ("text", "why"), [("wrong\n", "authentication failed"), (None, "No such file"), ("\udcff", "not UTF-8")]
)
async def test_a_password_that_does_not_do_is_said(tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / "password").write_bytes(text.encode("utf-8", "surrogateescape"))
    async with (
        running_gateway(TokenGateway()) as gateway,
        client(gateway, user="lb", password_file=str(tmp_path / "password")) as etcd,
    ):
        with pytest.raises(StoreRefused, match=why):
            await etcd.range(b"a")


async def test_authorities_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    settings = ClusterSettings(endpoints=("https://127.0.0.1:1",), ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(StoreRefused, match=r"ca\.pem cannot be used"):
        async with Etcd(settings):
            pass


# -- watches -------------------------------------------------------------------------------------------------------------


def watching(*chunks: bytes, is_ended: bool = False) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        for chunk in chunks:
            await exchange.chunk(chunk)
        if is_ended:
            await exchange.send(b"0\r\n\r\n")
        else:
            await anyio.sleep_forever()

    return behave


async def all_of(etcd: Etcd) -> list[messages.Message]:
    found = []
    async with etcd.watch(b"a", b"b", 1) as watch:
        async for message in watch:
            found.append(message)  # noqa: PERF401 - what came before the end is looked at
    return found


async def test_messages_come_whole_however_they_were_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    event = (
        b'{"result":{"header":{"revision":"8"},"events":[{"kv":{"key":"YQ==","value":"Yg==","mod_revision":"8"}}]}}\n'
    )
    bytes_ = [bytes([each]) for each in CREATED + b"\n\n" + event]
    async with running_gateway(watching(*bytes_, event + event)) as gateway, client(gateway) as etcd:
        async with etcd.watch(b"a", b"b", 1) as watch:
            found = [await anext(watch) for _ in range(4)]
        assert [message.revision for message in found] == [7, 8, 8, 8]
        assert found[1].events == (messages.Event(b"a", b"b", 8),)
        assert gateway.asked[0][2]["grpc-metadata-hasleader"] == "true"


@pytest.mark.parametrize(
    ("chunks", "error", "why"),
    [
        ((CREATED,), Silent, "is silent"),
        ((b"\n" * 100,), Silent, "is silent"),
        ((b'{"result":{"header":{},"canceled":true,"compact_revision":"9"}}\n',), Compacted, "before revision 9"),
        ((b'{"error":{"message":"no leader","http_code":503}}\n',), StoreRefused, "no leader"),
        ((b'{"result":{"created":true,"canceled":true}}\n',), StoreRefused, "no reason"),
        ((b"nonsense\n",), StoreUnreachable, "answers nonsense"),
        ((b'{"result":{"events":[{"type":"ELSE","kv":{}}]}}\n',), StoreUnreachable, "neither PUT nor DELETE"),
        ((b'{"result":{"events":[{}]}}\n',), StoreUnreachable, "no object"),
    ],
)
async def test_a_watch_says_why_it_is_over(chunks: tuple[bytes, ...], error: type[StoreError], why: str) -> None:
    async with running_gateway(watching(*chunks)) as gateway, client(gateway) as etcd:
        with pytest.raises(error, match=why):
            await all_of(etcd)


async def test_a_watch_that_the_store_ends_is_broken_off() -> None:
    async with running_gateway(watching(CREATED, is_ended=True)) as gateway, client(gateway) as etcd:
        with pytest.raises(StoreUnreachable, match="has ended the watch"):
            await all_of(etcd)


async def test_a_line_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_LINE_BYTES_MAX", 256 * KIB)
    monkeypatch.setattr(limits, "STORE_SILENCE_S", 10.0)

    async def endless(exchange: Exchange) -> None:
        await exchange.begin()
        while True:
            await exchange.chunk(b"x" * 64 * KIB)

    async with running_gateway(endless) as gateway, client(gateway) as etcd:
        with pytest.raises(StoreUnreachable, match="a line without an end"):
            await all_of(etcd)
        assert gateway.sent_bytes < 32 * MIB


async def test_a_watch_that_does_not_begin_is_left_for_the_next_endpoint() -> None:
    async with running_gateway(hang) as bad, running_gateway(watching(CREATED)) as good, client(bad, good) as etcd:
        with pytest.raises(StoreUnreachable, match="does not answer"):
            await all_of(etcd)
        with pytest.raises(Silent):
            await all_of(etcd)
        assert len(good.asked) == 1


async def test_leaving_a_watch_or_a_call_at_any_moment_leaves_nothing_behind() -> None:
    async with running_gateway(watching(CREATED)) as gateway, client(gateway) as etcd:
        for _ in range(limits.STORE_CONNECTIONS_MAX * 2):
            with anyio.move_on_after(0.03):
                await all_of(etcd)
        gateway.behave = always(RANGE)
        assert (await etcd.range(b"a")).revision == 7


async def test_a_call_that_the_end_of_the_link_comes_before_is_an_error_of_the_store() -> None:
    async with running_gateway(hang) as gateway, anyio.create_task_group() as tasks:
        etcd, found = client(gateway), list[StoreUnreachable]()

        async def ask() -> None:
            with pytest.raises(StoreUnreachable) as error:
                await etcd.put(b"a", b"b")
            found.append(error.value)

        async with etcd:
            tasks.start_soon(ask)
            while not gateway.asked:
                await anyio.sleep(0.01)
        while not found:
            await anyio.sleep(0.01)
        await ask()
    assert [each.is_unknown for each in found] == [True, False]
    assert all("was closed meanwhile" in str(each) for each in found)
