"""A whole engine whose servers come from DNS: they grow, shrink, the resolver dies, and no request is lost."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.dns_server import dns_server
from tests.engine.worker.harness import TcpServer, answering
from tests.system.harness import Engine, Load, listener_toml, running_engine, wait_for

pytestmark = pytest.mark.system


def up(engine: Engine) -> set[str]:
    """Return the names of the servers that get clients."""
    (pool,) = engine.status()["pools"]
    return {each["name"] for each in pool["servers"] if each["is_eligible"] and each["health"] == "up"}


@pytest.mark.parametrize(
    "persistence", ["", '[pool.persistence]\ntype = "ip"\n', '[pool.persistence]\ntype = "cookie"\n']
)
def test_list_grows_and_shrinks_the_resolver_dies_and_nothing_is_lost(tmp_path: Path, persistence: str) -> None:
    with ExitStack() as stack:
        dns = stack.enter_context(dns_server())
        servers = [TcpServer(answering(name)) for name in (b"a", b"b", b"c")]
        for each in servers:
            stack.callback(each.close)
        a, b, c = (each.port for each in servers)

        def say(*ports: int) -> None:
            dns.say("_web._tcp.test", "SRV", 1, *(f"0 0 {port} host.test." for port in ports))

        dns.say("host.test", "A", 1, "127.0.0.1")
        say(a)
        configuration = (
            listener_toml("app") + '[[pool]]\nname = "app"\n[pool.discover]\nname = "_web._tcp.test"\ntype = "srv"\n'
            f'servers_max = 3\n[pool.health_check]\ntype = "tcp"\ninterval = "500ms"\n{persistence}'
        )
        # The harness writes [engine] itself; its last key comes first in ours.
        engine = stack.enter_context(
            running_engine(tmp_path, f'nameservers = ["127.0.0.1:{dns.port}"]\n{configuration}')
        )
        wait_for(lambda: up(engine) == {f"127.0.0.1:{a}"})
        with Load(engine.port(), clients=3) as load:
            wait_for(lambda: load.answers.get("a", 0) > 50)
            say(a, b, c)
            wait_for(lambda: len(up(engine)) == 3)
            if not persistence:
                wait_for(lambda: min(load.answers.get(name, 0) for name in "abc") > 50)
            say(b)
            wait_for(lambda: up(engine) == {f"127.0.0.1:{b}"})
            before = dict(load.answers)
            wait_for(lambda: load.answers.get("b", 0) > before.get("b", 0) + 100)
            assert load.answers.get("a", 0) - before.get("a", 0) <= 3  # what was under way
            dns.is_silent = True
            wait_for(lambda: "name_not_resolved" in engine.events())
            assert up(engine) == {f"127.0.0.1:{b}"}
            dns.is_silent = False
            say(b, c)
            wait_for(lambda: len(up(engine)) == 2, 40)
        assert load.failures == []
        assert {"server_found", "server_gone", "name_resolved"} <= set(engine.events())


def test_worker_that_is_replaced_knows_the_servers_that_were_found(tmp_path: Path) -> None:
    with ExitStack() as stack:
        dns = stack.enter_context(dns_server())
        server = TcpServer(answering(b"a"))
        stack.callback(server.close)
        dns.say("app.test", "A", 300, "127.0.0.1")
        toml = (
            f'nameservers = ["127.0.0.1:{dns.port}"]\n{listener_toml("app")}[[pool]]\nname = "app"\n'
            f'[pool.discover]\nname = "app.test"\nport = {server.port}\n'
        )
        engine = stack.enter_context(running_engine(tmp_path, toml))
        wait_for(lambda: len(up(engine)) == 1)
        with Load(engine.port(), clients=2) as load:
            before = engine.worker_pids()
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: len(set(engine.worker_pids()) - set(before)) == 2)
            answered = load.answered
            wait_for(lambda: load.answered > answered + 100)
        assert set(load.answers) == {"a"}
