"""The JSON schema of the configuration, held against files and against what lbapp itself says of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lbapp.config.json_schema import json_schema
from lbapp.config.load import parse_configuration
from lbapp.model.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
VALID = '[[listener]]\nname="l"\nbind="127.0.0.1:1"\npool="app"\n[[pool]]\nname="app"\n'


def refused(text: str) -> list[str]:
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(tomllib.loads(text))
    return [f"{list(each.path)}: {each.message}" for each in found]


def test_it_is_a_schema_of_its_draft() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ["conf/lbapp.toml", "conf/lbapp.reference.toml"])
def test_sample_files_are_valid_by_it(name: str) -> None:
    assert refused((ROOT / name).read_text()) == []


def test_whole_examples_of_the_pages_are_valid_by_it() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    blocks = [block for page in pages for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)]
    whole = [block for block in blocks if "[[listener]]" in block and "[[pool]]" in block]
    assert whole
    for block in whole:
        assert refused(block) == [], block


@pytest.mark.parametrize(
    "more",
    [
        'nmae = "x"',
        "algorithm = 'best'",
        "panic_threshold = 101",
        "[pool.health_check]\ninterval = 5",
        "[pool.health_check]\ninterval = '5'",
        "[pool.health_check]\ntype = 'ping'",
        "[pool.outlier]\ndeviations = 11",
        "[pool.persistence]\nttl = '1h'",
        "[pool.persistence]\ntype = 'cookie'\nsame_site = 'Never'",
        "[[pool.server]]\nname = 's'",
        "[[pool.server]]\nname = 's'\naddress = 80",
        "[[pool.server]]\nname = 's'\naddress = 'h:80'\nweight = 257",
        "[[pool.server]]\nname = 'a/b'\naddress = 'h:80'",
        "[limits]\nhead_size_max = '16k'",
        "[limits]\nconnections_max = 0",
        "[engine]\nstate_dir = 'here'",
    ],
)
def test_what_lbapp_refuses_by_shape_is_refused_by_it(more: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_configuration(VALID + more, "f")
    assert refused(VALID) == []
    assert refused(VALID + more)


def test_every_default_is_valid_and_means_what_leaving_it_out_means() -> None:
    text = 'bind = "127.0.0.1:9"\n'
    for key in (
        "head_size_max",
        "client_idle_timeout",
        "idle_connection_age",
        "client_request_rate",
        "response_rate_min",
    ):
        default = SCHEMA["$defs"]["LimitsTable"]["properties"][key]["default"]
        parsed = parse_configuration(f'{VALID}[limits]\n{key} = "{default}"\n', text)
        assert parsed.limits == parse_configuration(VALID, text).limits, key
    for name, table in SCHEMA["$defs"].items():
        for shape in table.get("properties", {}).values():
            if "default" in shape and name.endswith("Table"):
                whole: dict[str, Any] = {"$defs": SCHEMA["$defs"], **shape}
                jsonschema.Draft202012Validator(whole).validate(shape["default"])


def test_keys_say_what_they_are_for() -> None:
    words = SCHEMA["$defs"]["ServerTable"]["properties"]["weight"]["description"]
    assert words == "0 to 256; 0 takes no new clients"
    assert SCHEMA["$defs"]["AlgorithmName"]["enum"][0] == "round_robin"
