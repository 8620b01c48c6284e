"""The shapes of what a route does."""

from __future__ import annotations

from lbapp.model.actions import HeaderRules, Hsts


def test_later_rules_have_the_last_word() -> None:
    first = HeaderRules((("a", "1"), ("b", "1")), (("c", "1"), ("d", "1")), ("e",))
    both = first.then(HeaderRules((("b", "2"),), (("d", "2"),), ("c", "e")))
    assert both == HeaderRules((("a", "1"), ("b", "2")), (("d", "1"), ("d", "2")), ("e", "c"))
    assert first.then(HeaderRules()) == first
    assert first.without("a").set == (("b", "1"),)
    assert HeaderRules().is_empty
    assert not both.is_empty


def test_hsts_is_written_as_browsers_read_it() -> None:
    assert Hsts(31536000.0).value == "max-age=31536000"
    assert Hsts(0.5, include_subdomains=True, preload=True).value == "max-age=0; includeSubDomains; preload"
