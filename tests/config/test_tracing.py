from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.errors import ConfigurationError
from lbapp.model.tracing import Accept, Tracing


def read(tracing: str, *, protocol: str = "http") -> Tracing:
    listener = f'[[listener]]\nname="l"\nbind="127.0.0.1:0"\npool="app"\nprotocol="{protocol}"\n'
    text = listener + tracing + '[[pool]]\nname="app"\n'
    return parse_configuration(text, "lbapp.toml").listeners[0].tracing


def test_nothing_is_given_unless_it_is_asked_for() -> None:
    assert not read("").is_on
    asked = read('[listener.tracing]\nrequest_id = true\ntraceparent = true\naccept = "all"\nanswer = true\n')
    assert asked == Tracing(True, True, Accept.ALL, True)


@pytest.mark.parametrize(
    ("keys", "protocol", "sentence"),
    [
        ("answer = true", "http", "no id to answer with"),
        ('accept = "some"', "http", "allowed"),
        ("request_id = true", "tcp", "a tcp listener has no tracing"),
    ],
)
def test_what_makes_no_sense_is_named(keys: str, protocol: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        read(f"[listener.tracing]\n{keys}\n", protocol=protocol)
