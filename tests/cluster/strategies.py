"""What a fleet may have in its store, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from lbapp.cluster.values import STATE_WORDS
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetIntent, RollMode
from lbapp.model.journal import Setting, Value

TEXTS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=20)
NODES = st.sampled_from(["a", "b", "c"])
TIMES = st.floats(0, 2e9)


@st.composite
def intents(draw: st.DrawFn) -> FleetIntent:
    setting = draw(st.sampled_from(Setting))
    every: dict[Setting, st.SearchStrategy[Value]] = {
        Setting.STATE: st.sampled_from(sorted(STATE_WORDS)),
        Setting.WEIGHT: st.integers(0, 256),
        Setting.PUBLISHED: st.booleans(),
    }
    values = every[setting]
    on = draw(st.sampled_from(["app/s1", "app/s2", "app", "node/a"]))
    until, start = draw(st.none() | TIMES), draw(st.none() | st.integers(0, 256))
    rest = (draw(TEXTS), draw(NODES), draw(TIMES), draw(TEXTS), until, start, draw(st.booleans()))
    more = (
        draw(st.none() | st.floats(0, 100)),
        tuple(draw(st.lists(st.integers(1, 2**40), max_size=3))),
        draw(st.booleans()),
    )
    return FleetIntent(on, setting, draw(values), draw(values), *rest, *more)


@st.composite
def configurations(draw: st.DrawFn) -> FleetConfiguration:
    order = tuple(draw(st.lists(NODES, unique=True)))
    reached = draw(st.integers(0, len(order)))
    who = (draw(st.sampled_from(RollMode)), draw(TEXTS), draw(NODES), draw(TIMES), draw(TEXTS))
    return FleetConfiguration(draw(st.integers(1, 9)), *who, order, reached, draw(TEXTS), draw(TEXTS))


RESULTS = st.builds(ConfigurationResult, st.integers(1, 9), NODES, TIMES, TEXTS)
