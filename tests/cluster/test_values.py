from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster import values
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetIntent
from lbapp.model.journal import Setting
from tests.cluster.node_double import intent, member_state
from tests.cluster.strategies import RESULTS, configurations, intents
from tests.cluster.test_gateway import ANY_JSON


@given(intents(), st.integers(0, 2**62))
def test_intents_come_back_as_they_went(intent: FleetIntent, revision: int) -> None:
    assert values.read_intent(intent.key, values.intent(intent), revision) == replace(intent, revision=revision)


@given(configurations())
def test_configurations_come_back_as_they_went(configuration: FleetConfiguration) -> None:
    data = values.configuration(configuration)
    assert values.read_configuration(data, 7) == replace(configuration, revision=7)


@given(RESULTS)
def test_results_come_back_as_they_went(result: ConfigurationResult) -> None:
    assert values.read_result(result.node, values.result(result)) == result


def test_cards_and_states_come_back_with_what_is_not_known_of_them() -> None:
    card = {"version": "1", "listeners": {"web": ["0.0.0.0:80"]}, "pid": 3, "more": None}
    assert values.read_card(values.card(card)) == card
    state = {**member_state(), "more": [1.5, True, {"x": "y"}]}
    assert values.read_state(values.state(state)) == state


def test_the_name_of_the_data_comes_back() -> None:
    assert values.read_began(values.began("x", 1.0, "a")) == "x"


@given(st.binary() | ANY_JSON.map(lambda each: json.dumps(each).encode()))
def test_whatever_comes_is_a_value_or_a_sentence(data: bytes) -> None:
    readers: list[Callable[[bytes], object]] = [
        values.read_card,
        values.read_state,
        values.read_began,
        values.read_text,
    ]
    readers.append(partial(values.read_result, "a"))
    readers.append(lambda each: values.read_intent(("app/s1", Setting.STATE), each, 1))
    for read in readers:
        with contextlib.suppress(ValueError):
            read(data)
    with pytest.raises(ValueError, match="it"):
        values.read_configuration(data, 1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"value": "explode"}, "value is no state"),
        ({"in_file": 7}, "in_file is no state"),
        ({"at": float("inf")}, "it.at is not a number"),
        ({"by": "\x1b[2J"}, "it.by is not plain text"),
        ({"until": "soon"}, "it.until is not a number"),
        ({"start": 2**70}, "it.start is not a whole number"),
        ({"reason": "x" * 40_000}, "longer than 32768 bytes"),
    ],
    ids=range(7),
)
def test_an_intent_that_is_wrong_is_said_with_where(change: dict[str, object], why: str) -> None:
    body = {**json.loads(values.intent(intent("app/s1"))), **change}
    with pytest.raises(ValueError, match=why):
        values.read_intent(("app/s1", Setting.STATE), json.dumps(body).encode(), 1)


@pytest.mark.parametrize(
    "change", [{"number": 0}, {"reached": 3}, {"order": ["a", "a"]}, {"mode": "some"}, {"reached": -1}]
)
def test_a_configuration_that_does_not_fit_together_is_refused(change: dict[str, object]) -> None:
    body = {**json.loads(values.configuration(FleetConfiguration(1, order=("a", "b"), reached=1))), **change}
    with pytest.raises(ValueError, match=r"number|reached|order|mode|come"):
        values.read_configuration(json.dumps(body).encode(), 1)


def test_what_nobody_could_read_is_not_written() -> None:
    for wrong in (replace(intent("app/s1"), by="\x00"), replace(intent("app/s1"), at=float("nan"))):
        with pytest.raises(ValueError, match="it"):
            values.intent(wrong)
    deep: object = 1
    for _ in range(50):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        values.card({"deep": deep})


def test_an_error_of_an_engine_can_be_shown_and_is_not_too_long() -> None:
    begun = ConfigurationResult(1, "a", 1.0, has_only_begun=True)
    assert values.read_result("a", values.result(begun)) == begun
    read = values.read_result("a", values.result(ConfigurationResult(1, "a", 1.0, "\x1b[2J\ud800é" + "x" * 100_000)))
    assert read.error.startswith("?[2J?é")
    assert len(read.error) < 5_000
