"""What becomes of clients when the store of a fleet fails, on real engines: nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cluster.harness import Store, ask, needs_etcd, running_stores
from tests.system.fleet_nodes import FleetNode, alive, start_node
from tests.system.harness import NO_CHECK, Load, free_port, listener_toml, pool_toml, servers, wait_for
from tests.system.test_fleet_store import CONFIGURATION, S1, fleet, results, state

# Three members of a store, two engines and their clients: minutes on a machine that is very busy.
pytestmark = [pytest.mark.system, needs_etcd, pytest.mark.timeout(300)]
_WAIT_S = 60.0


@contextmanager
def nodes_of(folder: Path, stores: Sequence[Store], more: str = "") -> Iterator[tuple[FleetNode, FleetNode]]:
    """Run two engines whose store has these members, the first of which is asked first."""
    endpoints = ", ".join(f'"{store.url}"' for store in stores)
    with ExitStack() as stack:
        text = listener_toml("app") + pool_toml("app", stack.enter_context(servers("s1", "s2")), extra=NO_CHECK)
        nodes = []
        for name in ("lb1", "lb2"):
            table = f'[cluster]\nname = "f"\nnode = "{name}"\nendpoints = [{endpoints}]\nlease = "10s"\n{more}'
            nodes.append(start_node(folder, name, text, cluster=table, has_store=True))
            stack.callback(nodes[-1].end)
        wait_for(lambda: all(alive(node) == ["lb1", "lb2"] for node in nodes), _WAIT_S)
        yield nodes[0], nodes[1]


def made_by_both(one: FleetNode, other: FleetNode, weight: int) -> None:
    """Have a weight set at one node, as often as it takes while the store has a new leader, and wait until both have it."""
    wait_for(lambda: one.patch(S1, {"weight": weight, "fleet": True}).status_code == 200, _WAIT_S)
    wait_for(lambda: one.word("app/s1") == other.word("app/s1") == ("ready", weight), _WAIT_S)


def test_clients_notice_nothing_of_a_leader_that_is_killed_or_frozen_and_intents_go_on(tmp_path: Path) -> None:
    with running_stores(tmp_path, 3) as stores:
        leader = next(store for store in stores if store.is_leader())
        order = [leader, *(store for store in stores if store is not leader)]
        with nodes_of(tmp_path, order) as (lb1, lb2), Load(lb1.port()) as of_lb1, Load(lb2.port()) as of_lb2:
            made_by_both(lb1, lb2, 10)
            leader.kill()
            made_by_both(lb1, lb2, 20)
            leader.start()
            wait_for(leader.is_healthy, _WAIT_S)
            wait_for(lambda: any(store.is_leader() for store in stores), _WAIT_S)
            frozen = next(store for store in stores if store.is_leader())
            frozen.freeze()
            made_by_both(lb2, lb1, 30)
            frozen.thaw()
            wait_for(lambda: state(lb1) == state(lb2) == "synced", _WAIT_S)
            made_by_both(lb1, lb2, 40)
            assert alive(lb1) == alive(lb2) == ["lb1", "lb2"]
        assert of_lb1.failures == of_lb2.failures == []
        assert min(of_lb1.answered, of_lb2.answered) > 100


def test_clients_notice_nothing_of_tokens_that_are_lost_or_of_revisions_that_are_forgotten(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    with running_stores(tmp_path) as (store,):
        store.need_password("lb", "secret", "/lbapp/f/")
        more = f'user = "lb"\npassword_file = "{password}"\n'
        with nodes_of(tmp_path, [store], more) as (lb1, lb2), Load(lb1.port()) as load:
            made_by_both(lb1, lb2, 10)
            store.kill()
            wait_for(lambda: state(lb1) == state(lb2) == "stale", _WAIT_S)
            store.start()  # it has forgotten all tokens
            made_by_both(lb1, lb2, 20)
            wait_for(lambda: state(lb1) == state(lb2) == "synced", _WAIT_S)
            assert lb1.messages("fleet_store_lost") == lb2.messages("fleet_store_lost") == []
        assert load.failures == []
        assert load.answered > 100


def test_clients_notice_nothing_of_a_store_that_has_forgotten_where_a_node_was(tmp_path: Path) -> None:
    with running_stores(tmp_path) as (store,), nodes_of(tmp_path, [store]) as (lb1, lb2), Load(lb2.port()) as load:
        made_by_both(lb1, lb2, 10)
        # What the node has seen last is compacted away while it hears nothing.
        store.freeze()
        wait_for(lambda: state(lb2) == "stale", _WAIT_S)
        store.thaw()
        for weight in range(20):
            store.put(f"intents/weight/none/s{weight}", "{}")
        revision = ask(store, "kv/range", {"key": "AA=="})["header"]["revision"]
        ask(store, "kv/compaction", {"revision": revision})
        made_by_both(lb1, lb2, 20)
        wait_for(lambda: state(lb1) == state(lb2) == "synced", _WAIT_S)
        assert alive(lb1) == alive(lb2) == ["lb1", "lb2"]
        assert load.failures == []
        assert load.answered > 100


def test_a_roll_of_a_revision_that_no_node_can_serve_by_ends_at_the_first_and_clients_notice_nothing(
    tmp_path: Path,
) -> None:
    with fleet(tmp_path, "lb1", "lb2", "lb3") as (_, nodes), socket.create_server(("127.0.0.1", free_port())) as taken:
        lb1, lb2, lb3 = nodes["lb1"], nodes["lb2"], nodes["lb3"]
        port = taken.getsockname()[1]
        # It is valid, so that who publishes it finds nothing: only who opens the port does.
        text = lb3.configuration.read_text() + listener_toml("app", name="more").replace(":0", f":{port}")
        with Load(lb1.port()) as load, Load(lb2.port()) as other:
            generations = [each.get("/v1/status")["engine"]["generation"] for each in nodes.values()]
            assert lb3.ask("POST", CONFIGURATION, {"mode": "rolling", "text": text}).status_code == 200
            wait_for(lambda: (lb3.get("/v1/fleet")["configuration"] or {}).get("stopped"), _WAIT_S)
            wanted = lb3.get("/v1/fleet")["configuration"]
            assert wanted["stopped"].startswith("lb1 does not serve by it: ")
            assert str(port) in wanted["stopped"]
            assert (list(results(lb3)), wanted["reached"]) == (["lb1"], 1)
            assert [each.get("/v1/status")["engine"]["generation"] for each in nodes.values()] == generations
            for node in (lb2, lb3):
                assert node.messages("configuration_of_fleet_began") == []
            answered = load.answered
            wait_for(lambda: load.answered > answered)
        assert load.failures == other.failures == []
