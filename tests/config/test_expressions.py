"""Regular expressions of routes: what is safe passes, what a client could make take forever does not."""

from __future__ import annotations

import re
import time

import pytest

from lbapp.config.expressions import expression
from lbapp.model.limits import REGEX_BYTES_MAX

SAFE = (
    r"/a/[^/]+/b", r"/files/.*\.(png|jpg|gif)", r".*", r"/v[0-9]+/.*", r"/(a|b)/x", r"(/.*)?", r"\d+", r"(?:ab)*", r"^/a$",
    r"[^/]*/[^/]*/[^/]*", r"(?i)/api/[^/]+/v\d", r"/[a-z-]+-\d+", r"(?:en|de|fr)(?:/.*)?", r"/\w+\.\w+", r"(?:[0-9]{2}){1,3}",
    r"/(?:[a-z]{3})+/", r".*(?:a|b)", r"(?>/a+)b", r"/a++b", r"/\S+ ?", r"[^\d]*1", r"/x{0}", r"\Wx", r"(?P<n>/a)", r"a?b?c?",
    r"\w+\d+x", r".*[a-z]*\.png", r"(?:(?:a|b)c)+", r"(?:a(b)c)+", r"(?:a^b)+",
)  # fmt: skip
UNSAFE = (
    r"(a+)+", r"(a*)*b", r"(a|a)*b", r"(a|ab|b)*c", r".*.*x", r".*a.*b", r"a?a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaaa",
    r"(?:[^/]{1,64}x){2}", r"(?:a?){20}", r"(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)x",
    r"(?i)[^A]*a*x.*y", r"\w+\d+\w*x", r".*[a-z]*[a-c]*\.png",
)  # fmt: skip


@pytest.mark.parametrize("text", SAFE)
def test_sound_expression_passes(text: str) -> None:
    assert expression(text) == text


@pytest.mark.parametrize("text", UNSAFE)
def test_expression_that_could_run_away_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not safe: "):
        expression(text)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (1, "1 is not accepted; allowed: a regular expression in ASCII"),
        ("", "'' is not accepted"),
        ("ä", "'ä' is not accepted"),
        ("a" * 513, "is not accepted; allowed: a regular expression in ASCII, with at most 512 letters"),
        ("(", r"'\(' is not a regular expression: missing \)"),
        ("a{99999999999999999999}", "is not a regular expression: it is too deep or too large"),
        (r"(a)\1", "is not safe: references back, looks around and conditions"),
        ("(?=a)b", "is not safe: references back"),
        ("(?!a)b", "is not safe: references back"),
        ("(a)?(?(1)b|c)", "is not safe: references back"),
    ],
)
def test_other_values_are_refused_with_a_sentence(value: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        expression(value)


@pytest.mark.parametrize("text", SAFE)
def test_expression_that_passes_is_quick_on_the_longest_text_there_is(text: str) -> None:
    compiled = re.compile(text.encode())
    fillings = (b"/", b"a", b"ab", b"a/", b"0", b"aa.", b"-", b"abc/", b".png")
    for filling in fillings:
        worst = (b"/files/" + filling * REGEX_BYTES_MAX)[: REGEX_BYTES_MAX - 1] + b"!"
        started = time.process_time()
        compiled.fullmatch(worst)
        compiled.fullmatch(worst[7:])
        assert time.process_time() - started < 0.5  # a runaway takes minutes
