"""When what was applied on trial is decided about, read off scenes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from lbapp.tui.source import Source
from lbapp.tui.trial import Trial

NOW = 1_000.0


def source(at: float, number: int, confirm_by: float | None, **other: bool) -> Source:
    engine = {"configuration": number, "confirm_by": confirm_by}
    flags: dict[str, Any] = {"is_of_now": True, "is_live": True, **other}
    return cast(Source, SimpleNamespace(scene=SimpleNamespace(at=at, engine=engine), now=lambda: at, **flags))


def begun() -> tuple[Trial, list[Source]]:
    """Return what was begun at NOW, with the source that it looks at in a list."""
    looked_at = [source(NOW, 3, None)]
    trial = Trial(lambda: looked_at[0])
    trial.begin()
    return trial, looked_at


def test_scene_of_before_the_engine_had_applied_it_decides_nothing() -> None:
    trial, looked_at = begun()
    assert (trial.is_decided, trial.number, trial.left_s, trial.left_or_soon(60.0)) == (False, 3, None, 60.0)
    looked_at[0] = source(NOW + 1, 4, NOW + 60)
    assert (trial.is_decided, trial.number, trial.left_s, trial.left_or_soon(60.0)) == (False, 4, 59.0, 59.0)
    looked_at[0] = source(NOW + 61, 5, None)
    assert (trial.is_decided, trial.number, trial.left_or_soon(60.0)) == (True, 5, None)


def test_scene_of_the_past_or_one_that_is_old_decides_nothing() -> None:
    trial, looked_at = begun()
    for other in ({"is_of_now": False}, {"is_live": False}):
        looked_at[0] = source(NOW + 1, 4, None, **other)
        assert not trial.is_decided
    looked_at[0] = source(NOW + 1, 4, None)
    assert trial.is_decided


def test_who_has_applied_nothing_waits_for_nothing() -> None:
    trial = Trial(lambda: source(NOW, 3, None))
    assert (trial.is_decided, trial.left_or_soon(60.0)) == (False, None)
    nothing = cast(Source, SimpleNamespace(scene=None, now=lambda: NOW, is_of_now=True, is_live=False))
    assert (Trial(lambda: nothing).number, Trial(lambda: nothing).left_s) == (0, None)
