from __future__ import annotations

import os

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError
from lbapp.model.fleet import ClusterSettings

REST = '[[listener]]\nname="l"\nbind="127.0.0.1:8080"\npool="app"\n[[pool]]\nname="app"\n'
ENDPOINTS = 'endpoints = ["http://10.0.0.1:2379", "https://[2001:db8::1]:2379/"]\n'


def read(text: str) -> Configuration:
    return parse_configuration(text + REST, "lbapp.toml")


def test_a_node_is_alone_unless_it_is_told_of_a_store() -> None:
    assert read("").cluster is None


def test_a_node_is_named_after_its_host_and_its_fleet_after_lbapp() -> None:
    cluster = read(f"[cluster]\n{ENDPOINTS}").cluster
    where = ("http://10.0.0.1:2379", "https://[2001:db8::1]:2379")
    assert cluster == ClusterSettings("lbapp", os.uname().nodename, where)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("endpoints = []", "no list of addresses"),
        ('endpoints = "http://10.0.0.1:2379"', "no list of addresses"),
        ('endpoints = ["10.0.0.1:2379"]', "not the address of an etcd"),
        ('endpoints = ["http://10.0.0.1"]', "not the address of an etcd"),
        ('endpoints = ["http://user:pw@10.0.0.1:2379"]', "not the address of an etcd"),
        ('endpoints = ["http://10.0.0.1:port"]', "not the address of an etcd"),
        ('endpoints = ["http://10.0.0.1:2379/v3"]', "not the address of an etcd"),
    ],
)
def test_an_endpoint_that_cannot_be_is_named_with_its_line(line: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(f"[cluster]\n{line}\n")
    (problem,) = caught.value.problems
    assert problem.line == 2
    assert sentence in problem.message


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('name = "a/b"', "not a name"),
        ('node = ""', "not a name"),
        ('lease = "1s"', "out of range"),
        ('lease = "1h"', "out of range"),
        ("ready_min = -1", "too small"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_line(line: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(f"[cluster]\n{ENDPOINTS}{line}\n")
    (problem,) = caught.value.problems
    assert problem.line == 3
    assert sentence in problem.message
