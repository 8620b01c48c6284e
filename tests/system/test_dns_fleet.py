"""Real engines of one fleet with their publishers: records follow drains, and those of a node that was killed are taken out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.name_servers import NOTES, PROGRAMS, missing, name_server
from tests.system.fleet_nodes import fleet_of
from tests.system.harness import lbapp
from tests.system.test_dns import Running, lbapp_dns, wait_for, write_file

# Two engines, two publishers and a name server, and a drain that waits for a TTL: minutes on a machine that is very busy.
pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.mark.parametrize("kind", PROGRAMS)
def test_records_of_a_fleet_follow_drains_kills_and_a_store_that_is_silent(tmp_path: Path, kind: str) -> None:
    if why := missing(kind):
        pytest.skip(why)
    with ExitStack() as stack:
        store, nodes = stack.enter_context(fleet_of(tmp_path, "lb1", "lb2"))
        server = stack.enter_context(name_server(kind, tmp_path / kind))
        publishers: list[Running] = []
        for number, node in enumerate(nodes.values(), 1):
            file = write_file(tmp_path, number, server.port, grace='"5s"', ttl='"1s"', records_min="1")
            publishers.append(stack.enter_context(lbapp_dns(file, node.control)))
        lb1, lb2 = nodes.values()
        wait_for(lambda: len(server.has()) == 2 and all("fleet=lbapp" in text for text in server.has("TXT", NOTES)))

        # The drain of a node waits until resolvers have forgotten it.
        assert lbapp(lb1, "drain", "--node", "--wait", "--timeout", "30s").returncode == 0
        assert server.has() == ["192.0.2.2"]
        wait_for(lambda: "192.0.2.1 out (the node drains)" in publishers[0].log)
        assert lbapp(lb1, "ready", "--node").returncode == 0
        wait_for(lambda: len(server.has()) == 2)

        # While the store is silent nobody is taken for dead.
        store.take_down()
        wait_for(lambda: lb1.get("/v1/fleet")["state"] == "stale")
        publishers[1].kill()
        lb2.process.kill()
        lb2.process.wait(20)
        silent_s = lb1.get("/v1/fleet")["age_s"]
        wait_for(lambda: lb1.get("/v1/fleet")["age_s"] > silent_s + 8)  # longer than the grace and several looks
        assert len(server.has()) == 2
        store.bring_back()
        wait_for(lambda: server.has() == ["192.0.2.1"])
        wait_for(lambda: "node lb2 is not in the fleet any more" in publishers[0].log)
