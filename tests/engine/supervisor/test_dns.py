"""Questions to a real DNS server on loopback."""

from __future__ import annotations

import dns.rcode
import pytest

from lbapp.engine.policy.discovery import SrvRecord
from lbapp.engine.supervisor import dns as subject
from lbapp.engine.supervisor.dns import Dns, DnsFailed
from tests.dns_server import DnsServer, dns_server

pytestmark = pytest.mark.anyio


def asking(server: DnsServer) -> Dns:
    return Dns([("127.0.0.1", server.port)])


async def test_addresses_of_both_families_hold_for_the_shorter_time() -> None:
    with dns_server() as server:
        server.say("app.test", "A", 60, "10.0.0.1", "10.0.0.2")
        server.say("app.test", "AAAA", 30, "fd00::1")
        answer = await asking(server).addresses("app.test")
        assert set(answer.values) == {"10.0.0.1", "10.0.0.2", "fd00::1"}
        assert answer.ttl_s == 30


async def test_one_family_is_enough() -> None:
    with dns_server() as server:
        server.say("app.test", "AAAA", 30, "fd00::1")
        assert (await asking(server).addresses("app.test")).values == ("fd00::1",)


async def test_family_that_cannot_be_asked_for_stays_as_it_was() -> None:
    with dns_server() as server:
        server.say("app.test", "A", 60, "10.0.0.1")
        server.say("app.test", "AAAA", 30, "fd00::1")
        asked = asking(server)
        await asked.addresses("app.test")
        server.say("app.test", "A", 60, "10.0.0.2")
        server.failing.add("AAAA")
        assert (await asked.addresses("app.test")).values == ("10.0.0.2", "fd00::1")
        server.failing.add("A")
        with pytest.raises(DnsFailed, match="no name server answers it"):
            await asked.addresses("app.test")
        server.failing.clear()
        del server.zone["app.test", "AAAA"]
        assert (await asked.addresses("app.test")).values == ("10.0.0.2",)


@pytest.mark.parametrize(("ttl", "held"), [(0, 1.0), (7, 7.0), (86_400, 300.0)])
async def test_time_has_a_floor_and_a_ceiling(ttl: int, held: float) -> None:
    with dns_server() as server:
        server.say("app.test", "A", ttl, "10.0.0.1")
        assert (await asking(server).addresses("app.test")).ttl_s == held


async def test_srv_records_are_read_whole() -> None:
    with dns_server() as server:
        server.say("_http._tcp.test", "SRV", 9, "1 2 8080 a.test.", "3 4 8081 b.test.")
        answer = await asking(server).srv("_http._tcp.test")
        assert set(answer.values) == {SrvRecord(1, 2, 8080, "a.test"), SrvRecord(3, 4, 8081, "b.test")}


async def test_long_answer_is_fetched_over_tcp() -> None:
    with dns_server() as server:
        server.is_truncating = True
        server.say("app.test", "A", 60, *(f"10.0.{number // 250}.{number % 250}" for number in range(400)))
        assert len((await asking(server).addresses("app.test")).values) == 400
        assert server.over_tcp


async def test_every_way_to_have_no_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "RESOLVE_TIMEOUT_S", 0.3)
    with dns_server() as server:
        server.say("_none._tcp.test", "SRV", 9, "0 0 0 .")
        server.say("text.test", "TXT", 9, '"x"')
        asked = asking(server)
        for name, said in (
            ("missing.test", "there is no such name"),
            ("text.test", "it has no A records"),
            ("x" * 64 + ".test", "A DNS label is > 63 octets long."),
        ):
            with pytest.raises(DnsFailed, match=said):
                await asked.addresses(name)
        with pytest.raises(DnsFailed, match="the service is not offered there"):
            await asked.srv("_none._tcp.test")
        server.rcode = dns.rcode.SERVFAIL
        with pytest.raises(DnsFailed, match="no name server answers it"):
            await asked.addresses("app.test")
        server.is_silent = True
        with pytest.raises(DnsFailed, match=r"no answer within 0\.3 s"):
            await asked.addresses("app.test")
