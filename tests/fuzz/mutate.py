"""Vectors changed a little, against a real worker: nothing unsound leaves it and nobody else is harmed.

Responsible for counting what came of each and for naming every change that broke a promise. Invariant: what a finding prints is
enough to see it again: the vector's name and the number of the change.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from tests.fuzz import judging
from tests.fuzz.engine import running_lbapp
from tests.fuzz.mutating import mutated_vector
from tests.fuzz.vectors import VECTORS


@dataclass
class Mutations:
    """What came of a run."""

    statuses: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run_mutations(count: int, seed: int) -> Mutations:
    """Run `count` changed vectors, chosen by `seed`."""
    random, found, started = Random(seed), Mutations(), time.monotonic()
    # Nobody knows what a changed vector earns, so none is waited for long, and each is ended by its client.
    with running_lbapp() as proxy:
        for _ in range(count):
            vector, number = random.choice(VECTORS), random.randrange(1 << 30)
            changed = mutated_vector(vector, number)
            changed = replace(changed, ends=True, is_early=False, must=(), must_not=(), body=None)
            result = proxy.run(changed)
            found.statuses[" ".join(str(answer.status) for answer in result.answers) or "nothing"] += 1
            found.findings += [
                f"{vector.name}, change {number}: {reason}"
                for reason in result.poison
                # A changed vector may well hold two requests: what was inside a body is one of its own then.
                if reason not in judging.OWN_DOING
            ]
    found.seconds = time.monotonic() - started
    return found
