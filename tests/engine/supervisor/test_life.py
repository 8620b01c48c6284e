from __future__ import annotations

import anyio
import pytest

from lbapp.engine.supervisor.life import Life

pytestmark = pytest.mark.anyio


async def test_first_stop_decides_and_a_later_one_changes_nothing() -> None:
    life = Life(30.0)
    life.stop(5.0)
    life.stop(50.0)
    assert (life.is_stopping, life.timeout_s) == (True, 5.0)
    with anyio.fail_after(5):
        await life.stop_asked()


async def test_stop_now_is_a_stop_too() -> None:
    life = Life(30.0)
    life.stop_now()
    with anyio.fail_after(5):
        await life.stop_asked()
        await life.stop_now_asked()
    assert life.timeout_s == 30.0
