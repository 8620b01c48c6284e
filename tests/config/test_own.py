from __future__ import annotations

import tomllib

import pytest

from lbapp.config.own import as_of_node

OWN = """
[engine]
workers = 2
state_dir = "/var/lib/one"
nameservers = ["10.0.0.1:53"]
[cluster]
node = "lb1"
endpoints = ["http://10.0.0.1:2379"]
"""
FLEETS = """# of all
[engine]
workers = 8
control_socket = "/run/two.sock"
nameservers = ["10.0.0.2:53"]  # the new one
[cluster]
node = "lb2"
endpoints = ["http://10.0.0.2:2379"]
[[pool]]
name = "app"
"""


def test_what_depends_on_the_machine_stays_the_nodes_own_and_all_else_is_the_fleets() -> None:
    found = as_of_node(FLEETS, OWN)
    tables = tomllib.loads(found)
    assert tables["engine"] == {"workers": 2, "state_dir": "/var/lib/one", "nameservers": ["10.0.0.2:53"]}
    assert tables["cluster"] == {"node": "lb1", "endpoints": ["http://10.0.0.2:2379"]}
    assert tables["pool"] == [{"name": "app"}]
    assert "# of all" in found
    assert "# the new one" in found


def test_a_text_that_says_nothing_of_it_gets_what_the_node_has() -> None:
    assert tomllib.loads(as_of_node('[[pool]]\nname = "app"\n', OWN)) == {
        "pool": [{"name": "app"}],
        "engine": {"workers": 2, "state_dir": "/var/lib/one"},
    }


def test_a_node_that_says_nothing_of_it_has_it_said_by_nobody() -> None:
    found = tomllib.loads(as_of_node(FLEETS, '[cluster]\nendpoints = ["http://10.0.0.1:2379"]\n'))
    assert found["engine"] == {"nameservers": ["10.0.0.2:53"]}
    assert found["cluster"] == {"endpoints": ["http://10.0.0.2:2379"]}


@pytest.mark.parametrize("text", [FLEETS, OWN, '[[pool]]\nname = "app"\n', "", "no toml = = at all", 'engine = "?"\n'])
def test_a_text_is_left_as_it_is_where_nothing_is_to_be_changed(text: str) -> None:
    own = text if "no toml" not in text else OWN
    assert as_of_node(text, own) == text


def test_what_comes_out_is_the_same_when_it_goes_in_again() -> None:
    once = as_of_node(FLEETS, OWN)
    assert as_of_node(once, OWN) == once
    assert as_of_node(FLEETS, once) == once
