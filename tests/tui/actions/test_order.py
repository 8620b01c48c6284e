from __future__ import annotations

import pytest

from lbapp.tui.actions.order import WeightWish, patch_of, seen, weight_wish
from lbapp.tui.scene import RampRow
from tests.tui.actions.rows import order, scene


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("50", WeightWish(50)),
        (" +10 ", WeightWish(10, "by")),
        ("-10", WeightWish(-10, "by")),
        ("50%", WeightWish(50, "percent")),
        ("50 over 5m", WeightWish(50, "to", 300.0)),
        ("0", WeightWish(0)),
    ],
)
def test_weight_is_read_in_every_form(text: str, wish: WeightWish) -> None:
    assert weight_wish(text) == wish


@pytest.mark.parametrize("text", ["", "x", "257", "+5%", "5 over", "5 over tea", "1000", "5 5"])
def test_what_is_no_weight_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"weight|duration"):
        weight_wish(text)


def test_only_a_weight_of_nothing_takes_away() -> None:
    assert [weight_wish(text).takes_away for text in ("0", "0%", "+0", "1", "-256")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_order_is_one_change_of_real_targets_and_never_says_force() -> None:
    shown = scene()
    drain = order("server.drain", shown, "app/s1", "app/s3", state="drain", timeout_s=60.0, is_hard=True, reason="work")
    assert patch_of(drain) == {
        "servers": ["app/s1", "app/s3"],
        "state": "drain",
        "hard": True,
        "drain_timeout_s": 60.0,
        "reason": "work",
    }
    for text, field in (("50", "weight"), ("+5", "weight_add"), ("5%", "weight_percent")):
        weighed = patch_of(order("server.weight", shown, "app/s1", weight=weight_wish(f"{text} over 1m")))
        assert field in weighed
        assert weighed["over_s"] == 60.0


def test_server_differs_once_somebody_changed_it_and_not_by_its_traffic() -> None:
    row = scene().pools[0].servers[0]
    before = seen(row)
    row.in_flight = 99
    assert not before.differs(row)
    row.changed_at = 5.0
    assert before.differs(row)


def test_weight_that_goes_on_its_way_is_no_change_and_another_way_is() -> None:
    row = scene().pools[0].servers[0]
    row.ramp = RampRow(after=50, ends_at=99.0)
    before = seen(row)
    row.weight = 90
    assert not before.differs(row)
    row.weight, row.ramp = 50, None
    assert not before.differs(row)
    row.ramp = RampRow(after=10, ends_at=99.0)
    assert before.differs(row)
