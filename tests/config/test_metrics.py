from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.entities import Bind, Configuration
from lbapp.model.errors import ConfigurationError

REST = '[[listener]]\nname="l"\nbind="127.0.0.1:8080"\npool="app"\n[[pool]]\nname="app"\n'


def read(text: str) -> Configuration:
    return parse_configuration(text + REST, "lbapp.toml")


def test_address_is_off_unless_it_is_named() -> None:
    assert read("").metrics_bind is None
    assert read('[metrics]\nbind = "off"\n').metrics_bind is None
    assert read('[metrics]\nbind = "[::1]:9100"\n').metrics_bind == Bind("::1", 9100)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ('"unix:/run/metrics.sock"', "no TCP address"),
        ('"127.0.0.1:0"', "port"),
        ("9100", "9100"),
        ('"127.0.0.1:8080"', "taken by a listener already"),
    ],
)
def test_address_that_cannot_be_is_named_with_its_line(value: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(f"[metrics]\nbind = {value}\n")
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (2, "metrics.bind")
    assert sentence in problem.message
