"""Real engines of one fleet with their publishers: records follow drains, and those of a node that was killed are taken out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.name_servers import NOTES, PROGRAMS, missing, name_server
from tests.system.fleet_nodes import fleet_of
from tests.system.harness import lbapp, wait_for
from tests.system.test_dns import Running, lbapp_dns, write_file

pytestmark = pytest.mark.system


@pytest.mark.parametrize("kind", PROGRAMS)
def test_records_of_a_fleet_follow_drains_kills_and_a_store_that_is_silent(tmp_path: Path, kind: str) -> None:
    if why := missing(kind):
        pytest.skip(why)
    with ExitStack() as stack:
        store, nodes = stack.enter_context(fleet_of(tmp_path, "lb1", "lb2", "lb3"))
        server = stack.enter_context(name_server(kind, tmp_path / kind))
        publishers: list[Running] = []
        for number, node in enumerate(nodes.values(), 1):
            file = write_file(tmp_path, number, server.port, grace='"1s"', ttl='"1s"', records_min="1")
            publishers.append(stack.enter_context(lbapp_dns(file, node.control)))
        lb1, _, lb3 = nodes.values()
        wait_for(lambda: len(server.has()) == 3 and all("fleet=lbapp" in text for text in server.has("TXT", NOTES)))

        # The drain of a node waits until resolvers have forgotten it.
        assert lbapp(lb1, "drain", "--node", "--wait", "--timeout", "30s").returncode == 0
        assert server.has() == ["192.0.2.2", "192.0.2.3"]
        assert "192.0.2.1 out (the node drains)" in publishers[0].log
        assert lbapp(lb1, "ready", "--node").returncode == 0
        wait_for(lambda: len(server.has()) == 3)

        # While the store is silent nobody is taken for dead.
        store.take_down()
        wait_for(lambda: lb1.get("/v1/fleet")["state"] == "stale")
        publishers[2].kill()
        lb3.process.kill()
        lb3.process.wait(20)
        silent_s = lb1.get("/v1/fleet")["age_s"]
        wait_for(lambda: lb1.get("/v1/fleet")["age_s"] > silent_s + 4)  # longer than the grace and several looks
        assert len(server.has()) == 3
        store.bring_back()
        wait_for(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
        assert any("node lb3 is not in the fleet any more" in each.log for each in publishers[:2])
