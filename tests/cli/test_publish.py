"""publish and unpublish against a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.harness import Bench
from tests.system.harness import request

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def published_again(bench: Bench) -> Iterator[None]:
    yield
    assert bench.lbapp("publish", "app", "api").exit_code == 0


def test_unpublished_pool_gets_no_requests_and_says_so_until_it_is_published(bench: Bench) -> None:
    result = bench.lbapp("unpublish", "app", "api")
    assert result.exit_code == 0
    assert result.stdout == "app: published -> unpublished\napi: published -> unpublished\n"
    assert request(bench.engine.port()).startswith(b"HTTP/1.1 503")
    assert "2 of 2 eligible, unpublished: gets no requests" in bench.lbapp("status", "app").stdout
    assert "pool_unpublished" in bench.lbapp("events").stdout
    assert bench.lbapp("unpublish", "app").stdout == "app: as it was\n"
    assert json.loads(bench.lbapp("publish", "app", "--json").stdout)[0]["after"] == {"published": True}
    assert request(bench.engine.port()).startswith(b"HTTP/1.1 200")


def test_unknown_pool_is_refused(bench: Bench) -> None:
    result = bench.lbapp("unpublish", "apq")
    assert result.exit_code == 1
    assert "there is no pool apq" in result.stderr
