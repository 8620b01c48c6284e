"""Everything at once: a list of servers that never rests, operators, reloads, upgrades and traffic.

What each of them does has tests of its own. Here they meet at moments that nobody would think of: the engine has to live, no
request may be lost, and nothing may be said to have gone wrong in lbapp itself. LBAPP_STORM_S says for how long, LBAPP_STORM_SEED
what happens, as far as the machine is as fast as it was.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.dns_server import DnsServer, dns_server
from tests.effort import times
from tests.engine.worker.harness import TcpServer, answering
from tests.system.harness import Engine, Load, lbapp, listener_toml, wait_for
from tests.system.test_upgrade import upgradable

pytestmark = pytest.mark.system

SEED = int(os.environ.get("LBAPP_STORM_SEED", "0")) or random.randrange(1, 1_000_000)
SERVERS = 6
WRONG = re.compile(r"Traceback|CRITICAL|in lbapp itself|worker_died|worker_hung|never awaited")


class Storm:
    """What may happen, in any order. `done`: how many things did; `strange`: what no operator should be told."""

    def __init__(self, engine: Engine, dns: DnsServer, ports: list[int], source: random.Random) -> None:
        self.engine, self.dns, self.ports, self.source = engine, dns, ports, source
        self.done = 0
        self.strange: list[str] = []
        self._configuration = engine.control.parent / "lbapp.toml"
        self._text = self._configuration.read_text()

    def happen(self) -> None:
        """Have one thing happen."""
        weighted: list[tuple[int, Callable[[], None]]] = [
            (6, self.list_changes),
            (6, self.operator_changes),
            (2, self.pool_changes),
            (2, self.operator_looks),
            (1, self.node_drains),
            (2, self.reload),
            (1, self.upgrade),
        ]
        happen = self.source.choices([each for _, each in weighted], [weight for weight, _ in weighted])[0]
        happen()
        self.done += 1

    def list_changes(self) -> None:
        """Have the name stand for other servers. One stays, so that clients can be served."""
        others = self.source.sample(self.ports[1:], self.source.randint(0, len(self.ports) - 1))
        self.dns.say("_web._tcp.test", "SRV", 1, *(f"0 0 {port} host.test." for port in [self.ports[0], *others]))

    def operator_changes(self) -> None:
        """Change a server that may be gone by now."""
        server = f"app/127.0.0.1:{self.source.choice(self.ports[1:])}"
        verb = self.source.choice(["drain", "ready", "maint", "check-now", "weight"])
        self.run(verb, server, *(["50"] if verb == "weight" else []))

    def pool_changes(self) -> None:
        """Take back, or again, what was done."""
        self.run("undo")

    def operator_looks(self) -> None:
        """Ask for what is asked for seldom."""
        self.run(
            *self.source.choice([("status",), ("latency",), ("changes",), ("diff",), ("sessions",), ("why", "app")])
        )

    def node_drains(self) -> None:
        """Have the node drain, and serve again."""
        self.run("drain", "--node", "--timeout", "60s", "--force")
        self.run("ready", "--node")

    def reload(self) -> None:
        """Apply another configuration."""
        algorithm = self.source.choice(["round_robin", "least_connections", "ip_hash", "least_response_time"])
        check = self.source.choice(["tcp", "http"])
        text = re.sub(r'algorithm = "\w+"', f'algorithm = "{algorithm}"', self._text)
        self._configuration.write_text(re.sub(r'type = "(tcp|http)"', f'type = "{check}"', text))
        self.run("reload")

    def upgrade(self) -> None:
        """Have another engine take over."""
        self.run("upgrade")

    def run(self, *words: str) -> None:
        """Do it on the command line: it may be refused, with a sentence."""
        done = lbapp(self.engine, *words)
        if done.returncode not in (0, 1) or "Traceback" in done.stderr:
            self.strange.append(f"{words}: status {done.returncode}: {done.stderr}")


@contextmanager
def storm(folder: Path) -> Iterator[Storm]:
    """Run servers, names and an engine for one."""
    with ExitStack() as stack:
        dns = stack.enter_context(dns_server())
        servers = [TcpServer(answering(f"s{number}".encode())) for number in range(SERVERS)]
        for each in servers:
            stack.callback(each.close)
        ports = [each.port for each in servers]
        dns.say("host.test", "A", 1, "127.0.0.1")
        dns.say("_web._tcp.test", "SRV", 1, f"0 0 {ports[0]} host.test.")
        toml = (
            f'nameservers = ["127.0.0.1:{dns.port}"]\n{listener_toml("app")}[[pool]]\nname = "app"\nalgorithm = "round_robin"\n'
            f'[pool.discover]\nname = "_web._tcp.test"\ntype = "srv"\nservers_max = {SERVERS}\n'
            '[pool.health_check]\ntype = "tcp"\ninterval = "100ms"\n[pool.persistence]\ntype = "ip"\n'
        )
        engine = stack.enter_context(upgradable(folder, toml))
        wait_for(lambda: "server_came_up" in engine.events())
        yield Storm(engine, dns, ports, random.Random(SEED))


def test_nothing_is_lost_and_nothing_goes_wrong_when_everything_happens_at_once(tmp_path: Path) -> None:
    with storm(tmp_path) as own:
        until = time.monotonic() + float(os.environ.get("LBAPP_STORM_S") or times(6, 60))
        with Load(own.engine.port(), clients=3) as load:
            while time.monotonic() < until:
                own.happen()
        log = own.engine.log.read_text()
        seed = f"with LBAPP_STORM_SEED={SEED}, after {own.done} things"
        assert own.strange == [], seed
        assert [line for line in log.splitlines() if WRONG.search(line)] == [], seed
        assert load.failures == [], seed
        assert load.answered > 0
        assert own.engine.status()["engine"]["phase"] == "serving", seed
