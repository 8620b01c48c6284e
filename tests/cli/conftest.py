"""One engine for all tests of a module; each test leaves its servers ready."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from tests.cli.harness import Bench, running_bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Leave the process as it was: a console that starts has no garbage collected, and says in the environment how it paints."""
    yield
    gc.enable()
    os.environ.pop("TEXTUAL_FPS", None)
