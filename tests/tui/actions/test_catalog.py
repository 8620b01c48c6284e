from __future__ import annotations

from lbapp.tui.actions.catalog import ACTIONS, CATALOG, NO_POOL, NO_SERVER, Subject
from tests.tui.actions.rows import scene


def test_every_id_and_every_key_is_that_of_one_action() -> None:
    keys = [action.key for action in CATALOG if action.key]
    assert len(set(keys)) == len(keys)
    assert len(ACTIONS) == len(CATALOG)


def test_without_a_selection_every_action_of_servers_says_where_to_select_one() -> None:
    shown = scene()
    for action in CATALOG:
        why = action.why_not(Subject(shown))
        if action.about == "servers":
            assert why == NO_SERVER
        elif action.about == "pool":
            assert why == NO_POOL


def test_what_is_so_already_and_what_is_found_by_name_is_not_possible() -> None:
    shown = scene()
    row, pool = shown.pools[0].servers[0], shown.pools[0]
    row.admin = "maint"
    assert ACTIONS["server.maint"].why_not(Subject(shown, [row], pool)) == "in MAINT already"
    assert ACTIONS["server.maint"].why_not(Subject(shown, pool.servers, pool)) == ""
    assert ACTIONS["pool.publish"].why_not(Subject(shown, (), pool)) == "app is published already"
    pool.discovered_as = "app.example"
    assert "app.example" in ACTIONS["server.add"].why_not(Subject(shown, (), pool))
    assert "one server at a time" in ACTIONS["server.remove"].why_not(Subject(shown, pool.servers, pool))


def test_what_is_so_here_may_be_done_on_all_nodes() -> None:
    shown = scene()
    row, pool = shown.pools[0].servers[0], shown.pools[0]
    row.admin = "maint"
    assert ACTIONS["server.maint"].why_not(Subject(shown, [row], pool, is_fleet=True)) == ""
    assert ACTIONS["pool.publish"].why_not(Subject(shown, (), pool, is_fleet=True)) == ""
    pool.is_published = False
    assert ACTIONS["pool.unpublish"].why_not(Subject(shown, (), pool, is_fleet=True)) == ""
    assert ACTIONS["server.maint"].why_not(Subject(shown, is_fleet=True)) == NO_SERVER
    assert ACTIONS["pool.unpublish"].why_not(Subject(shown, is_fleet=True)) == NO_POOL


def test_node_and_configuration_offer_only_what_waits() -> None:
    shown = scene()
    assert shown.engine is not None
    assert ACTIONS["node.ready"].why_not(Subject(shown)) == "the node does not drain"
    assert ACTIONS["node.drain"].why_not(Subject(shown)) == ""
    assert ACTIONS["configuration.confirm"].why_not(Subject(shown)) == "no configuration waits to be confirmed"
    shown.engine["confirm_by"] = 5.0
    assert ACTIONS["configuration.confirm"].why_not(Subject(shown)) == ""
