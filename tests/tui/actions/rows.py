"""Rows of servers and orders for them, for tests of plain functions."""

from __future__ import annotations

from typing import Any

from lbapp.tui.actions.catalog import ACTIONS
from lbapp.tui.actions.order import Order, seen
from lbapp.tui.scene import Scene
from lbapp.tui.staging import scene_of
from tests.tui.engine_double import server, status


def scene(app: int = 3, img: int = 0) -> Scene:
    """Return a scene of a pool app, and one img where it has servers."""
    names = [("app", f"s{number}") for number in range(1, app + 1)] + [
        ("img", f"i{number}") for number in range(1, img + 1)
    ]
    return scene_of(status([server(pool, name) for pool, name in names]))


def order(action: str, shown: Scene, *ids: str, **more: Any) -> Order:
    """Return an order for servers as they are shown."""
    rows = [row for row in map(shown.server, ids) if row is not None]
    return Order(ACTIONS[action], tuple(seen(row) for row in rows), **more)
