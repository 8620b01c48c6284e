"""The fuzzers and the differential run do their work, on a small scale."""

from __future__ import annotations

import pytest

from tests.fuzz import coverage_guided, differential
from tests.fuzz.mutate import run_mutations
from tests.fuzz.targets import TARGETS
from tests.fuzz.vectors import VECTORS
from tests.fuzz.vectors.reasons import NO_REASON

pytestmark = pytest.mark.system


def test_changed_vectors_harm_nobody() -> None:
    found = run_mutations(400, 7)
    assert not found.findings, "\n".join(found.findings)
    assert sum(found.statuses.values()) == 400


@pytest.mark.skipif(coverage_guided.IS_MISSING, reason="atheris is not installed: pip install 'lbapp[fuzz]'")
@pytest.mark.parametrize("target", TARGETS)
def test_a_coverage_guided_run_finds_nothing(target: str) -> None:
    found = coverage_guided.fuzz(target, 1)
    assert not found.finding, found.finding
    assert found.executions > 100
    assert found.features > 0


@pytest.mark.skipif(
    bool(differential.missing()), reason="HAProxy or nginx is not installed: apt-get install haproxy nginx"
)
def test_every_difference_from_the_peers_has_its_reason() -> None:
    differences = differential.compare(VECTORS[::12])
    assert differences
    assert not [each for each in differences if each.reason == NO_REASON]
    assert "| nginx |" in differential.report(differences)
