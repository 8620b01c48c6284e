from __future__ import annotations

import re

import pytest

from lbapp.tui.actions.commandline import SCREENS, SHOWN_MAX, WORDS, History, complete, read, servers_named
from lbapp.tui.actions.order import WeightWish
from lbapp.tui.place import Place
from tests.tui.actions.rows import scene

SHOWN = scene(app=3, img=2)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("pool app", Place("pool", "app")),
        ("server app/s1", Place("server", "app/s1")),
        ("requests pool:app status:5xx", Place("requests", "pool:app status:5xx")),
        ("events", Place("events")),
    ],
)
def test_screens_are_gone_to_with_what_they_are_about(text: str, place: Place) -> None:
    assert read(text, SHOWN, SCREENS).place == place


def test_drain_takes_globs_a_timeout_and_hard() -> None:
    spoken = read("drain app/s[12] 5m hard", SHOWN, SCREENS)
    assert (spoken.action, spoken.text, spoken.is_hard) == ("server.drain", "5m", True)
    assert [row.id for row in spoken.servers or ()] == ["app/s1", "app/s2"]
    assert read("drain", SHOWN, SCREENS).servers is None  # those that are selected


def test_weight_takes_globs_and_every_form_of_a_weight() -> None:
    spoken = read("weight app 50 over 5m", SHOWN, SCREENS)
    assert spoken.weight == WeightWish(50, "to", 300.0)
    assert len(spoken.servers or ()) == 3
    assert read("weight +10", SHOWN, SCREENS).weight == WeightWish(10, "by")


def test_other_actions_are_read_with_what_they_need() -> None:
    assert read("add app/s9 10.0.0.9:80 50", SHOWN, SCREENS).new == {
        "name": "s9",
        "address": "10.0.0.9:80",
        "weight": 50,
    }
    assert read("node drain 2m", SHOWN, SCREENS).text == "2m"
    unpublish = read("unpublish img", SHOWN, SCREENS)
    assert unpublish.pool is not None
    assert unpublish.pool.name == "img"
    assert read("rollback", SHOWN, SCREENS).action == "configuration.rollback"
    assert read("filter pool:app wgt<50", SHOWN, SCREENS).text == "pool:app wgt<50"
    assert [read(word, SHOWN, SCREENS).kind for word in ("quit", "q", "help", "lock")] == [
        "quit",
        "quit",
        "help",
        "lock",
    ]
    assert read("theme light", SHOWN, SCREENS).text == "light"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "type a command"),
        ("drian app/s1", "there is no command drian: did you mean drain?"),
        ("mai app/s1", "there is no command mai: did you mean maint?"),
        ("drain app/s11", "no server is named app/s11: did you mean app/s1"),
        ("drain ap", "no server is named ap: did you mean app?"),
        ("pool ap", "there is no pool ap: did you mean app?"),
        ("server", "there is no server"),
        ("weight app/s1 300", "300 is no weight"),
        ("weight", "say which weight"),
        ("add app", "say it as add POOL/NAME ADDRESS"),
        ("add app/s9 here 999", "999 is no weight"),
        ("node stop", "say it as node drain"),
        ("theme pink", "there is no theme pink"),
        ("undo 5", "undo stands alone"),
        ("quit now", "quit stands alone"),
    ],
)
def test_what_is_not_understood_says_so_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        read(text, SHOWN, SCREENS)
    assert "\n" not in str(refused.value)


def test_screens_that_there_are_not_are_neither_read_nor_offered() -> None:
    with pytest.raises(ValueError, match="there is no command nodes"):
        read("nodes", SHOWN, ("pools",))
    assert complete("nod", SHOWN, ("pools",)) == ["node"]
    assert complete("nod", SHOWN, SCREENS) == ["node", "nodes"]


def test_a_line_is_completed_by_words_pools_and_servers() -> None:
    assert complete("dr", SHOWN, SCREENS) == ["drain"]
    assert complete("drain app/s", SHOWN, SCREENS) == ["drain app/s1", "drain app/s2", "drain app/s3"]
    assert complete("weight app/s1 im", SHOWN, SCREENS) == [
        "weight app/s1 img",
        "weight app/s1 img/i1",
        "weight app/s1 img/i2",
    ]
    assert complete("pool i", SHOWN, SCREENS) == ["pool img"]
    assert complete("node ", SHOWN, SCREENS) == ["node drain", "node ready"]
    assert complete("undo x", SHOWN, SCREENS) == []
    assert len(complete("", SHOWN, SCREENS)) == SHOWN_MAX < len(WORDS)


def test_servers_that_two_patterns_name_come_once() -> None:
    assert [row.id for row in servers_named(["app/s1", "app"], SHOWN)] == ["app/s1", "app/s2", "app/s3"]


def test_history_goes_back_and_keeps_a_line_once() -> None:
    said = History()
    for line in ("one", "two", "one"):
        said.add(line)
    assert [said.back(steps) for steps in range(4)] == ["", "one", "two", ""]
    for number in range(History.MAX + 5):
        said.add(str(number))
    assert len(said) == History.MAX
