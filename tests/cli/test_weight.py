"""weight against a real engine: by a number, by a step, by a share of the file's."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.harness import Bench

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def weights_of_the_file(bench: Bench) -> Iterator[None]:
    yield
    assert bench.lbapp("weight", "*", "100").exit_code == 0


def weights(bench: Bench) -> list[int]:
    return [bench.engine.server(f"app/{name}")["weight"] for name in ("s1", "s2")]


def test_each_server_goes_up_or_down_from_its_own_weight_as_one_action(bench: Bench) -> None:
    assert bench.lbapp("weight", "app/s1", "7").exit_code == 0
    result = bench.lbapp("weight", "app", "+10")
    assert (result.exit_code, result.stdout) == (0, "app/s1: weight 7 -> 17\napp/s2: weight 100 -> 110\n")
    assert bench.lbapp("weight", "app/*", "-10", "--reason", "too fast").exit_code == 0
    assert weights(bench) == [7, 100]
    last = json.loads(bench.lbapp("changes", "--json").stdout)["actions"][-1]
    assert [(each["before"], each["after"]) for each in last["changes"]] == [(17, 7), (110, 100)]
    assert bench.lbapp("undo").exit_code == 0
    assert weights(bench) == [17, 110]


def test_steps_never_take_a_server_out_and_end_at_the_most(bench: Bench) -> None:
    assert bench.lbapp("weight", "app/s1", "-200").exit_code == 0
    assert bench.lbapp("weight", "app/s2", "+200").exit_code == 0
    assert weights(bench) == [1, 256]


def test_share_is_of_what_the_file_says(bench: Bench) -> None:
    assert bench.lbapp("weight", "app/s1", "7").exit_code == 0
    assert bench.lbapp("weight", "app", "50%").stdout == "app/s1: weight 7 -> 50\napp/s2: weight 100 -> 50\n"
    slow = bench.lbapp("weight", "app", "12.5%", "--over", "200ms", "--wait")
    assert slow.stdout.endswith("weight 12: app/s1, app/s2\n")


@pytest.mark.parametrize("weight", ["257", "-257", "ten", "+", "1.5", "+5%", "-", "10x", ""])
def test_what_is_no_weight_is_refused_with_what_is(bench: Bench, weight: str) -> None:
    result = bench.lbapp("weight", "app/s1", weight)
    assert result.exit_code == 2
    assert "is no weight; use 0 to 256, or such as +10, -10 or 50%" in result.stderr


def test_option_that_does_not_exist_is_not_taken_for_a_server(bench: Bench) -> None:
    result = bench.lbapp("weight", "--ovre", "app/s1", "5")
    assert result.exit_code == 2
    assert "No such option" in result.stderr
    assert "--ovre" in result.stderr
    assert weights(bench) == [100, 100]


@pytest.mark.parametrize(("weight", "eligible"), [("-80", 2), ("0%", 1)])
def test_dry_run_shows_what_a_weight_would_do(bench: Bench, weight: str, eligible: int) -> None:
    result = bench.lbapp("weight", "app/s1", weight, "--dry-run", "--json")
    (plan,) = json.loads(result.stdout)["plan"]
    assert (plan["eligible_before"], plan["eligible_after"]) == (2, eligible)
    assert weights(bench) == [100, 100]
