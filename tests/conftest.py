"""What holds for all tests: none of them is timed, as machines are shared and noisy; coroutines run in asyncio."""

from __future__ import annotations

import pytest
from hypothesis import settings

pytest_plugins = ["tests.watchdog"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
