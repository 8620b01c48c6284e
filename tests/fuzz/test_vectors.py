"""Every vector against a real worker: with the grammar, and with the careful way alone."""

from __future__ import annotations

import pytest

from tests.fuzz.engine import running_lbapp
from tests.fuzz.vectors import VECTORS

pytestmark = pytest.mark.system


def test_the_table_is_large_and_says_each_thing_once() -> None:
    assert len(VECTORS) >= 400
    assert len({vector.name for vector in VECTORS}) == len(VECTORS)
    assert all(vector.rfc and vector.group for vector in VECTORS)


def test_every_vector_ends_as_the_table_says_with_the_grammar_and_without() -> None:
    problems = []
    verdicts: dict[bool, list[str]] = {}
    for is_careful in (False, True):
        verdicts[is_careful] = []
        with running_lbapp(is_careful=is_careful) as proxy:
            for vector in VECTORS:
                result = proxy.run(vector)
                verdicts[is_careful].append(f"{vector.name}: {result.verdict}")
                problems += [f"{vector.name}: {problem}" for problem in result.problems]
    assert not problems, "\n".join(problems)
    assert verdicts[True] == verdicts[False]
