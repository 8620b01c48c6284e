from __future__ import annotations

from typing import Any, cast

from lbapp.tui.scene import PoolRow, Scene, ServerRow, Target
from lbapp.tui.sight import Sight
from lbapp.tui.source import Source
from lbapp.tui.trends import Trends


class Moving:
    """A source whose rows are written anew, as those of a live feed are."""

    def __init__(self) -> None:
        row = ServerRow(id="app/s1", target=Target("app", "s1"), pool="app", weight=100)
        self.scene = Scene(at=1.0, pools=[PoolRow(name="app", servers=[row])])
        self.scene.index()
        self.trends = Trends()
        self.trends.add(("app/s1",), [1.0])
        self.at = 1.0
        self.is_live = True

    def now(self) -> float:
        return self.at

    def go_on(self) -> None:
        self.at = 2.0
        self.scene.pools[0].servers[0].weight = 50
        self.trends.add(("app/s1",), [2.0])


def weights(sight: Sight) -> list[int]:
    assert sight.scene is not None
    found = sight.scene.server("app/s1"), sight.scene.by_target(Target("app", "s1")), sight.scene.pools[0].servers[0]
    return [row.weight for row in found if row]


def test_what_is_paused_stays_as_it_was_and_is_the_newest_again_when_it_is_followed() -> None:
    source = Moving()
    sight = Sight(cast(Source, source))
    trend = sight.trends.of  # as the tables keep hold of it
    sight.pause()
    source.go_on()
    source.is_live = False
    assert weights(sight) == [100, 100, 100]
    assert (sight.now(), list(trend("app/s1")), sight.is_live) == (1.0, [1.0], False)
    sight.follow()
    assert weights(sight) == [50, 50, 50]
    assert (sight.now(), list(trend("app/s1"))) == (2.0, [1.0, 2.0])


def test_nothing_is_paused_before_there_is_a_scene() -> None:
    source: Any = Moving()
    scene, source.scene = source.scene, None
    sight = Sight(source)
    sight.pause()
    source.scene = scene
    assert sight.scene is scene
