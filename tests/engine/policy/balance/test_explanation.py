"""Why a server is chosen: what an algorithm says is what it does, and saying it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from lbapp.engine.policy.balance.base import Algorithm, ServerState
from lbapp.engine.policy.balance.explanation import (
    EXPLORATION_NOTE,
    SCORES_MAX,
    Explanation,
    KeptLoad,
    in_order,
)
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.model.entities import AlgorithmName
from tests.effort import times
from tests.engine.policy.balance.support import CLIENT, Load, pool, state

EVERY = [(name, 0) for name in AlgorithmName] + [(AlgorithmName.HASH, 150), (AlgorithmName.RENDEZVOUS, 125)]


class Course:
    """One pool that lives through states, load, answers and choices, the same for the same seed."""

    def __init__(self, name: AlgorithmName, balance_percent: int, seed: int) -> None:
        self.random = Random(seed)
        self.load = Load()
        self.count = self.random.choice((1, 2, 3, 8, 40))
        self.now_s = 0.0
        self.algorithm = build_algorithm(name, self.states(), self.load, Random(seed), balance_percent)

    def states(self) -> list[ServerState]:
        draw = self.random
        is_even = draw.random() < 0.5
        return [
            ServerState(
                index,
                f"app/s{index}",
                weight := 100 if is_even else draw.choice((0, 1, 50, 100, 256)),
                weight > 0 and draw.random() < 0.8,
                draw.choice((1000, 1000, 1000, 400, 1)),
                place=index,
            )
            for index in range(self.count)
        ]

    def questions(self, steps: int) -> Iterator[tuple[bytes, float, tuple[int, ...]]]:
        """Give what is asked of the algorithm at each step, after something has happened to it."""
        draw = self.random
        for _ in range(steps):
            self.now_s += draw.choice((0.0, 0.01, 1.0, 60.0))
            if draw.random() < 0.1:
                self.algorithm.update(self.states(), self.now_s)
            self.load.counts[draw.randrange(self.count)] = draw.randrange(8)
            self.algorithm.observe(
                draw.randrange(self.count), draw.randrange(1, 90_000), draw.random() < 0.1, self.now_s
            )
            excluded = tuple(draw.sample(range(self.count), draw.choice((0, 0, 0, min(self.count, 2), self.count))))
            yield draw.randbytes(4), self.now_s, excluded


@pytest.mark.parametrize(("name", "balance_percent"), EVERY)
def test_what_is_explained_is_what_is_chosen_and_the_best_of_all_that_may_be(
    name: AlgorithmName, balance_percent: int
) -> None:
    for seed in range(times(8, 40)):
        course = Course(name, balance_percent, seed)
        for key, now_s, excluded in course.questions(60):
            explanation = course.algorithm.explain(key, now_s, excluded)
            assert explanation == course.algorithm.explain(key, now_s, excluded)
            assert explanation.chosen == course.algorithm.choose_server(key, now_s, excluded)
            if explanation.chosen is None:
                assert (explanation.scores, explanation.total) == ((), 0)
                continue
            indexes = [score.index for score in explanation.scores]
            assert explanation.chosen in indexes
            assert len(indexes) == len(set(indexes)) == min(explanation.total, SCORES_MAX)
            assert not set(indexes) & set(excluded)
            assert all(score.words for score in explanation.scores)
            grades = [score.grade for score in explanation.scores]
            assert explanation.scores[0].index == explanation.chosen, (seed, explanation)
            assert grades == sorted(grades)


@pytest.mark.parametrize(("name", "balance_percent"), EVERY)
def test_explaining_changes_nothing(name: AlgorithmName, balance_percent: int) -> None:
    for seed in range(times(8, 40)):
        asked, unasked = Course(name, balance_percent, seed), Course(name, balance_percent, seed)
        for question, same in zip(asked.questions(60), unasked.questions(60), strict=True):
            for _ in range(asked.random.getrandbits(1) + unasked.random.getrandbits(1)):
                asked.algorithm.explain(*question)
            assert asked.algorithm.choose_server(*question) == unasked.algorithm.choose_server(*same)


def test_random_pick_of_those_that_learn_is_called_one() -> None:
    for name in (AlgorithmName.LEAST_RESPONSE_TIME, AlgorithmName.PREQUAL):
        algorithm = build_algorithm(name, pool(100, 100, 100), Load({0: 1, 1: 2, 2: 3}), Random(3))
        notes = []
        for _ in range(2000):
            notes.append(algorithm.explain(CLIENT, 0.0).note)
            algorithm.choose_server(CLIENT, 0.0)
        assert 2 < notes.count(EXPLORATION_NOTE) < 60


def words_of(explanation: Explanation) -> dict[int, str]:
    return {score.index: score.words for score in explanation.scores}


def built(name: AlgorithmName, counts: dict[int, int], *weights: int, balance_percent: int = 0) -> Algorithm:
    return build_algorithm(name, pool(*weights), Load(counts), Random(5), balance_percent)


def test_each_algorithm_says_by_what_it_decides() -> None:
    least = built(AlgorithmName.LEAST_CONNECTIONS, {0: 3, 1: 1}, 100, 100).explain(CLIENT, 0.0)
    assert words_of(least)[0] == "(3 + 1) in flight / weight 100 = 0.04"
    assert least.chosen == 1
    alike = built(AlgorithmName.LEAST_CONNECTIONS, {}, 100, 100, 100).explain(CLIENT, 0.0)
    assert alike.note == "3 are alike: one of them at random"

    response = built(AlgorithmName.LEAST_RESPONSE_TIME, {1: 1}, 100, 50)
    for index, latency_us in ((0, 40_000), (1, 2_000)):
        response.observe(index, latency_us, False, 0.0)
    assert words_of(response.explain(CLIENT, 0.0)) == {
        0: "latency 40 ms x (0 + 1) in flight / weight 100 = 0.4",
        1: "latency 3 ms (as the best) x (1 + 1) in flight / weight 50 = 0.12",
    }
    response.update(pool(100, 50, 100), 0.0)
    assert "(not measured yet)" in words_of(response.explain(CLIENT, 0.0))[2]

    two = built(AlgorithmName.TWO_CHOICES, {}, *[100] * 9).explain(CLIENT, 0.0)
    assert sum(words == "not drawn" for words in words_of(two).values()) == 7
    prequal = words_of(built(AlgorithmName.PREQUAL, {0: 9}, *[100] * 8).explain(CLIENT, 0.0))
    assert sum(words == "not drawn" for words in prequal.values()) == 3
    assert prequal[0].startswith("hot, not measured, (9 + 1) in flight / weight 100") or prequal[0] == "not drawn"

    turns = built(AlgorithmName.ROUND_ROBIN, {}, 100, 100, 100)
    assert sorted(words_of(turns.explain(CLIENT, 0.0)).values()) == ["1st in turn", "2nd in turn", "3rd in turn"]
    turns.update([state(0), ServerState(1, "app/s1", 100, True, 250)], 0.0)
    assert "takes 25% of its turns (slow start)" in words_of(turns.explain(CLIENT, 0.0))[1]
    weighted = built(AlgorithmName.WEIGHTED_ROUND_ROBIN, {}, 100, 200).explain(CLIENT, 0.0)
    assert {words.partition("weight ")[2] for words in words_of(weighted).values()} == {"100", "200"}
    first = words_of(built(AlgorithmName.FIRST, {}, 100, 100).explain(CLIENT, 0.0, (0,)))
    assert first == {1: "1st in the file of those with room"}


@pytest.mark.parametrize("name", [AlgorithmName.HASH, AlgorithmName.RENDEZVOUS])
def test_hash_says_whose_key_it_is_and_what_its_bound_is(name: AlgorithmName) -> None:
    algorithm = built(name, {}, 100, 100, 100, balance_percent=150)
    own = algorithm.choose_server(CLIENT, 0.0)
    assert own is not None
    full = built(name, {own: 9}, 100, 100, 100, balance_percent=150).explain(CLIENT, 0.0)
    assert full.chosen != own
    assert "1st of the key" in words_of(full)[own]
    assert "9 in flight of at most 5: passed over" in words_of(full)[own]
    assert "0 in flight of at most 5" in words_of(full)[full.chosen or 0]


def test_hash_says_who_has_the_key_when_that_server_cannot() -> None:
    algorithm = built(AlgorithmName.HASH, {}, 100, 100, 100)
    own = algorithm.choose_server(CLIENT, 0.0)
    assert own is not None
    assert algorithm.explain(CLIENT, 0.0).note == ""
    assert algorithm.explain(CLIENT, 0.0, (own,)).note == f"the key is of app/s{own}, which it cannot have now"


def test_of_very_many_servers_the_best_are_named_and_all_are_counted() -> None:
    explanation = built(AlgorithmName.ROUND_ROBIN, {}, *[100] * 500).explain(CLIENT, 0.0)
    assert (len(explanation.scores), explanation.total) == (SCORES_MAX, 500)


def test_kept_load_stands_still_and_asks_once_for_each() -> None:
    live = Load({1: 4, 2: 5})
    kept = KeptLoad(live)
    assert kept.in_flight([1, 2]) == [4, 5]
    live.counts = {1: 9, 2: 9, 3: 1}
    assert kept.in_flight([1, 3]) == [4, 1]
    assert kept.counts == {1: 4, 2: 5, 3: 1}


def test_places_are_words() -> None:
    assert [in_order(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th",
    ]  # fmt: skip
