from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.tui.patterns import STATES_KEPT, VERDICTS_KEPT, Pattern, PatternError

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "[a-b]", "\\w", "\\D", "^", "$", "\\."])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = inner.map(lambda one: f"(?:{one})")
    repeated = st.builds("{}{}".format, group, st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}"]))
    joined = st.builds("{}{}".format, inner, inner)
    chosen = st.builds("{}|{}".format, inner, inner)
    return repeated | joined | chosen.map(lambda one: f"({one})")


PATTERNS = st.recursive(ATOMS, grown, max_leaves=8)


@given(PATTERNS, st.text("ab1.", max_size=12))
def test_finds_what_the_regular_expressions_of_python_find(pattern: str, text: str) -> None:
    assert Pattern(pattern).is_in(text) is (re.search(pattern, text) is not None)


@given(st.text("ab(){}[]|*+?^$\\.,-019dDwx", max_size=30), st.text("ab", max_size=5))
def test_whatever_is_typed_is_a_pattern_or_said_to_be_none(pattern: str, text: str) -> None:
    said = ""
    try:
        verdict = Pattern(pattern).is_in(text)
    except PatternError as error:
        verdict, said = None, str(error)
    assert (verdict is None) is bool(said)


@pytest.mark.parametrize(
    "pattern", ["(a*)*b", "(a|a)*b", "(a+)+$", "(a?){30}a{30}", "((a*)*)*b", ".*.*.*.*b", "(a|aa)+$"]
)
def test_pattern_that_would_take_for_ever_elsewhere_takes_as_long_as_the_text_is(pattern: str) -> None:
    assert Pattern(pattern).is_in("a" * 5_000 + "!") is (pattern == "(a?){30}a{30}")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(a", "( without )"),
        ("a)", ") without ("),
        ("[a", "[ without ]"),
        ("*a", "* has nothing to repeat"),
        ("a{2,1}", "{m,n} with n below m"),
        ("a{x}", "{ is not {m}, {m,} or {m,n}"),
        ("a{9999}", "it repeats too much"),
        ("((((){900}){900}){900}){900}", "it repeats too much"),
        ("(" * 100 + ")" * 100, "more than 20 ( in each other"),
        ("(?=a)", "(? is not known, but (?: is"),
        ("\\1", "\\1 is not known"),
        ("a\\", "\\ has nothing behind it"),
        ("a" * 201, "longer than 200 characters"),
    ],
)
def test_wrong_pattern_is_named(pattern: str, said: str) -> None:
    with pytest.raises(PatternError) as caught:
        Pattern(pattern)
    assert str(caught.value) == said


def test_case_does_not_matter_but_that_of_a_kind_does() -> None:
    assert Pattern("STRASSE|ÜBER").is_in("über")
    assert Pattern("Weiß").is_in("WEIß")
    assert Pattern("\\D").is_in("x")
    assert not Pattern("^\\d$").is_in("x")


def test_what_is_kept_of_former_texts_is_limited() -> None:
    pattern = Pattern("x[ab]{8}y.{9}z")
    for number in range(VERDICTS_KEPT + 10):
        assert not pattern.is_in(f"x{number:016b}".replace("0", "a").replace("1", "x"))
    assert len(pattern._verdicts) <= VERDICTS_KEPT
    assert len(pattern._states) <= STATES_KEPT
    assert pattern.is_in("xababababy123456789z")
