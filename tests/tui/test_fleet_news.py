"""What is told of an action of the fleet behind it."""

from __future__ import annotations

import pytest

from lbapp.control.fleet import Applied, FleetStatus
from lbapp.tui import fleet_news
from lbapp.tui.fleet_news import FleetNews
from tests.tui.fleet_double import ALICE, three_nodes

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("is_heard", [False, True])
async def test_what_is_said_meanwhile_by_others_ends_the_news(monkeypatch: pytest.MonkeyPatch, is_heard: bool) -> None:
    monkeypatch.setattr(fleet_news, "EVERY_S", 0.0)
    shown: list[str] = []

    async def ask() -> FleetStatus:
        if is_heard:
            news.hear("no configuration waits to be confirmed")
        shown.clear()
        return three_nodes()

    news = FleetNews(lambda words, _is_refused: shown.append(words), ask)
    news.tell("app/s1: weight 100 -> 110", False)
    applied: Applied = {"revision": 12, "actor": ALICE, "done": ["node-a"], "waiting": ["lb2", "lb3"]}
    await news.follow(applied)
    assert bool(shown) is not is_heard


async def test_words_of_its_own_that_come_back_are_nothing_else() -> None:
    news = FleetNews(lambda words, is_refused: news.hear(words), three_nodes)  # type: ignore[arg-type]  # never asked
    news.tell("refused", True)
    assert news._last == ("refused", True)
