"""What live traffic says of servers: what is accepted in the file, what is refused."""

from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.errors import ConfigurationError
from lbapp.model.passive import CALM, OnError, Outlier, Passive, SlowStart

LISTENER = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'


def passive(keys: str) -> Passive:
    return parse_configuration(f'{LISTENER}[[pool]]\nname = "app"\n{keys}', "f").pools[0].passive


def refusal(keys: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        passive(keys)
    (problem,) = caught.value.problems
    assert problem.line > 0
    return f"{problem.key.removeprefix('pool[0].')}: {problem.message}"


def test_nothing_is_done_that_was_not_asked_for() -> None:
    assert passive("") == CALM


def test_empty_table_is_enough_for_the_defaults() -> None:
    assert passive("[pool.outlier]").outlier == Outlier()


def test_every_key_reaches_its_own_field() -> None:
    assert passive(
        'on_error = "mark_down"\npanic_threshold = 50\n[pool.outlier]\nconsecutive_errors = 7\ninterval = "3s"\n'
        'servers_min = 3\nrequests_min = 9\ndeviations = 2\nejection = "4s"\nejection_max = "40s"\nejected_percent_max = 30\n'
        '[pool.slow_start]\nwindow = "60s"\naggression = 1.5\npercent_min = 5\n'
    ) == Passive(OnError.MARK_DOWN, Outlier(7, 3.0, 3, 9, 2.0, 4.0, 40.0, 30), SlowStart(60.0, 1.5, 5), 50)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('on_error = "panic"', "on_error: 'panic' is not known; allowed: 'probe', 'mark_down' or 'ignore'"),
        ("panic_threshold = 101", "panic_threshold: 101 is too large"),
        ("[pool.outlier]\ndeviations = -1", "outlier.deviations: -1 is not accepted; allowed: a number from 0 to 10"),
        ("[pool.outlier]\nejected_percent_max = 0", "outlier.ejected_percent_max: 0 is too small"),
        ("[pool.slow_start]\naggression = 1", "slow_start.window: this key is missing"),
        ('[pool.slow_start]\nwindow = "0s"', "slow_start.window: "),
        ("[pool.outlier]\nconsecutive_errors = 0\ndeviations = 0", "outlier: no criterion is left"),
        (
            '[pool.outlier]\nejection = "10m"',
            "outlier.ejection: the first ejection is longer than the longest may be, 300s",
        ),
        ('on_error = "mark_down"\n[pool.health_check]\ntype = "none"', "on_error: the pool has no health check"),
    ],
)
def test_what_makes_no_sense_is_refused(keys: str, said: str) -> None:
    assert said in refusal(keys)


def test_pool_without_a_check_has_nothing_probed_and_need_not_say_so() -> None:
    assert passive('[pool.health_check]\ntype = "none"') == CALM
