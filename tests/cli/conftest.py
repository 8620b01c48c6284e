"""One engine for all tests of a module; each test leaves its servers ready."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.harness import Bench, running_bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running_bench(tmp_path_factory.mktemp("cli")) as running:
        yield running
