from __future__ import annotations

from typing import Any

from lbapp.tui.actions.sentences import asking, done, named, probed, undone
from tests.tui.engine_double import server


def change(name: str, before: str, after: str, weight: tuple[int, int] = (100, 100)) -> Any:
    return {
        "server": server("app", name),
        "before": {"state": before, "weight": weight[0]},
        "after": {"state": after, "weight": weight[1]},
        "event_seqs": [],
    }


def test_change_of_one_or_many_is_one_sentence() -> None:
    assert done([change("s1", "ready", "hard_drain", (100, 5))]) == (
        "app/s1: state READY -> HARD DRAIN, weight 100 -> 5   (z undoes)"
    )
    many = [change("s1", "ready", "ready"), change("s2", "ready", "maint"), change("s3", "ready", "maint")]
    assert done(many) == "app/s2: state READY -> MAINT, and 1 more   (z undoes)"


def test_change_of_nothing_offers_no_undo() -> None:
    assert done([change("s1", "ready", "ready")]) == "app/s1 is so already: READY, weight 100"
    assert done([change("s1", "ready", "ready")] * 2) == "2 servers are so already"


def test_weight_on_its_way_says_where_to() -> None:
    ramp = change("s1", "ready", "ready")
    ramp["after"]["weight_goal"] = 50
    ramp["server"]["ramp"] = {"after": 50}
    assert done([ramp]) == "app/s1: weight on its way to 50   (z undoes)"


def test_names_from_outside_are_printable() -> None:
    assert "\x1b" not in done([change("s\x1b", "ready", "drain")])
    assert undone([{"on": "app/\x1b", "setting": "state", "before": "drain", "after": "ready"}]) == (
        "undone: app/·: state DRAIN -> READY"
    )
    assert undone([]) == "undone: everything was as before already"


def test_checks_say_what_they_found() -> None:
    probe: Any = {"is_success": True, "reason": "HTTP 200", "duration_s": 0.004}
    assert probed([("app/s1", probe)]) == "app/s1: HTTP 200 in 4 ms"
    failed: Any = {**probe, "is_success": False}
    assert probed([("app/s1", probe), ("app/s2", failed)]) == ("1 of 2 checks succeeded; not app/s2")


def test_what_is_asked_for_names_the_first() -> None:
    assert (
        asking(["app/s1", "app/s2"], {"state": "drain", "hard": False}) == "app/s1 and 1 more: asking for state DRAIN"
    )
    assert asking(["app/s1"], {"weight_add": -10}) == "app/s1: asking for weight add -10"
    assert named([]) == "nothing"
