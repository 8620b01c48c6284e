"""The order in which several workers share the tests."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.spread import spread


def made_up(path: str, count: int, *, is_system: bool = False) -> list[Any]:
    marker = object() if is_system else None
    return [
        SimpleNamespace(nodeid=f"{path}::{number}", path=Path(path), get_closest_marker=lambda _: marker)
        for number in range(count)
    ]


@pytest.mark.parametrize("workers", [1, 2, 3, 6])
def test_no_test_is_lost_and_each_worker_begins_with_its_part_of_what_takes_long(workers: int) -> None:
    modules = [made_up(f"tests/system/test_{name}.py", 7, is_system=True) for name in "abcdef"]
    short = made_up("tests/model/test_short.py", 300)
    tests = [*short, *(test for module in modules for test in module)]
    found: list[Any] = list(spread(tests, workers))
    assert sorted(each.nodeid for each in found) == sorted(each.nodeid for each in tests)
    length = -(-len(tests) // workers)
    for start in range(0, len(found), length):
        assert "system" in found[start].nodeid
        kinds = ["system" in each.nodeid for each in found[start : start + length]]
        assert kinds == sorted(kinds, reverse=True)


def test_tests_of_a_module_stay_together_as_they_may_share_an_engine() -> None:
    modules = [made_up(f"tests/system/test_{name}.py", count) for name, count in zip("abc", (9, 5, 3), strict=True)]
    paths = [each.path for each in spread([test for module in modules for test in module], 2)]
    assert sum(one != other for one, other in pairwise(paths)) == 2
