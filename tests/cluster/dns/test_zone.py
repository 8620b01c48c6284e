"""Looking at and changing a zone of Knot and of BIND, and what goes wrong with it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import pytest

from lbapp.cluster.dns.decide import Decision, Wish, decide
from lbapp.cluster.dns.zone import Zone, ZoneChanged, ZoneRefused, ZoneSilent
from lbapp.model.dns import DnsSettings, TsigKey
from tests.cluster.dns.support import settings
from tests.engine.worker.harness import TcpServer
from tests.name_servers import NAME, NOTES, PROGRAMS, NameServer, missing, name_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=PROGRAMS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NameServer]:
    if why := missing(request.param):
        pytest.skip(why)
    with name_server(request.param, tmp_path / request.param) as found:
        yield found


async def bring(file: DnsSettings, *, is_in: bool = True) -> Decision:
    zone = Zone(file)
    seen = await zone.look()
    decision = decide(file, seen, Wish(is_in), time.time())
    if decision.is_change:
        await zone.write(seen, decision)
    return decision


async def test_both_families_and_the_note_come_and_go_in_one_change(server: NameServer) -> None:
    file = settings("192.0.2.1", "2001:db8::1", port=server.port, records_min=1)
    await bring(settings("192.0.2.2", "2001:db8::2", node="lb2", port=server.port))
    before = server.updates()
    await bring(file)
    assert (server.has(), server.has("AAAA")) == (["192.0.2.1", "192.0.2.2"], ["2001:db8::1", "2001:db8::2"])
    assert "v=lbapp1 node=lb1 addresses=192.0.2.1,2001:db8::1" in server.has("TXT", NOTES)
    assert (server.ttl(), server.ttl("AAAA")) == (20, 20)
    assert server.updates() > before
    await bring(file, is_in=False)
    assert (server.has(), server.has("AAAA")) == (["192.0.2.2"], ["2001:db8::2"])
    (left,) = [text for text in server.has("TXT", NOTES) if "node=lb1" in text]
    assert left.endswith("by=lb1")
    assert not (await bring(file, is_in=False)).is_change


async def test_what_was_written_is_seen_by_others_as_it_was_meant(server: NameServer) -> None:
    await bring(settings("192.0.2.1", "2001:db8::1", port=server.port))
    seen = await Zone(settings(node="lb2", port=server.port)).look()
    assert seen.addresses == {"192.0.2.1", "2001:db8::1"}
    assert seen.ttl_s == 20
    assert [(note.node, note.addresses) for note in seen.notes.values()] == [("lb1", ("192.0.2.1", "2001:db8::1"))]


async def test_note_that_is_longer_than_a_string_of_dns_comes_back_whole(server: NameServer) -> None:
    addresses = tuple(f"2001:db8:aaaa:bbbb:cccc:dddd:eeee:{number:x}" for number in range(0x1001, 0x1011))
    await bring(settings(*addresses, port=server.port))
    (note,) = (await Zone(settings(port=server.port)).look()).notes.values()
    assert note.addresses == addresses


async def test_removal_is_refused_when_the_addresses_are_no_longer_as_they_were_seen(server: NameServer) -> None:
    file = settings(port=server.port)
    await bring(file)
    await bring(settings("192.0.2.2", node="lb2", port=server.port))
    zone = Zone(file)
    seen = await zone.look()
    decision = decide(file, seen, Wish(False), time.time())
    await bring(settings("192.0.2.2", node="lb2", port=server.port, records_min=1), is_in=False)
    with pytest.raises(ZoneChanged):
        await zone.write(seen, decision)
    assert server.has() == ["192.0.2.1"]


async def test_the_last_to_write_says_the_ttl_of_all(server: NameServer) -> None:
    await bring(settings(port=server.port))
    assert server.ttl() == 20
    await bring(settings("192.0.2.2", node="lb2", port=server.port, ttl_s=60))
    assert (server.has(), server.ttl()) == (["192.0.2.1", "192.0.2.2"], 60)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"key": TsigKey("lbapp", b"another secret of 16 bytes")}, "has another secret for the key lbapp"),
        ({"key": TsigKey("other", b"another secret of 16 bytes")}, "does not know the key other"),
        ({"name": "mail.lb.test"}, "key lbapp"),  # a name that the key may not change
        ({"name": "alias.lb.test"}, "another name for something"),
    ],
)
async def test_what_somebody_has_to_put_right_is_a_refusal(
    server: NameServer, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ZoneRefused, match=sentence):
        await bring(settings(port=server.port, **more))
    assert server.has() == []


async def test_server_that_is_away_is_silent_and_back_again_has_all(server: NameServer) -> None:
    file = settings(port=server.port)
    await bring(file)
    server.kill()
    with pytest.raises(ZoneSilent, match="cannot be reached: Connection refused"):
        await Zone(file).look()
    server.start()
    assert (await Zone(file).look()).addresses == {"192.0.2.1"}


async def test_server_that_does_not_answer_is_silent(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbapp.cluster.dns.zone.TIMEOUT_S", 0.2)
    server.freeze()
    with pytest.raises(ZoneSilent, match="has not answered within"):
        await Zone(settings(port=server.port)).look()


async def test_answer_without_a_signature_is_none() -> None:
    def refuse(connection: socket.socket) -> None:
        length = int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")
        query = dns.message.make_query(NAME, "A", id=int.from_bytes(connection.recv(length)[:2], "big"))
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.REFUSED)
        connection.sendall(answer.to_wire(prepend_length=True))

    server = TcpServer(refuse)
    try:
        with pytest.raises(ZoneSilent, match="has not signed its answer"):
            await Zone(settings(port=server.port)).look()
    finally:
        server.close()
