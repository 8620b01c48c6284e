"""What holds for all tests: none of them is timed, as machines are shared and noisy; coroutines run in asyncio."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.spread import spread

pytest_plugins = ["tests.compiled", "tests.watchdog"]

# A property is tried at 30 examples where it does not say how many, at 100 by `scripts/test --hypothesis-profile=thorough`.
settings.register_profile("untimed", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is not None:  # else there is one worker, and it takes them as they come
        items[:] = spread(items, worker["workercount"])
