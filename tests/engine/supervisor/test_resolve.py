from __future__ import annotations

import socket

import pytest

from lbapp.engine.supervisor.resolve import Resolver
from tests.engine.supervisor.support import configured, parts

pytestmark = pytest.mark.anyio


async def test_addresses_need_no_resolver_and_names_are_resolved() -> None:
    with parts(configured([("127.0.0.1", 80), ("::1", 81), ("localhost", 82), ("/run/s.sock", 0)])) as own:
        resolver = Resolver(own.running, own.events)
        assert await resolver.resolve()
        assert resolver.addresses[0] == ((socket.AF_INET, "127.0.0.1", 80),)
        assert resolver.addresses[1] == ((socket.AF_INET6, "::1", 81),)
        assert resolver.addresses[3] == ((socket.AF_UNIX, "/run/s.sock", 0),)
        assert {port for _, _, port in resolver.addresses[2]} == {82}
        assert not await resolver.resolve()
        assert own.kinds() == []


async def test_name_that_cannot_be_resolved_is_one_event_and_leaves_its_server_out() -> None:
    with parts(configured([("no-such-name.invalid", 80), ("127.0.0.1", 81)])) as own:
        resolver = Resolver(own.running, own.events)
        await resolver.resolve()
        await resolver.resolve()
        assert list(resolver.addresses) == [1]
        assert own.kinds() == ["name_not_resolved"]
        assert "no-such-name.invalid" in own.events.after(0)[0]["message"]


async def test_failing_resolver_keeps_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with parts(configured([("localhost", 80)])) as own:
        resolver = Resolver(own.running, own.events)
        await resolver.resolve()
        before = resolver.addresses

        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        assert not await resolver.resolve()
        assert resolver.addresses == before
        monkeypatch.undo()
        await resolver.resolve()
        assert own.kinds() == ["name_not_resolved", "name_resolved"]


async def test_label_that_no_resolver_takes_is_an_event_and_no_crash() -> None:
    with parts(configured([("x" * 70 + ".example", 80)])) as own:
        resolver = Resolver(own.running, own.events)
        await resolver.resolve()
        assert own.kinds() == ["name_not_resolved"]
