from __future__ import annotations

import pytest

from lbapp.config.edit import add_server, remove_server
from lbapp.config.load import parse_configuration

TABLES = """# by hand
[[listener]]
name = "web"
bind = "127.0.0.1:0"   # all of them
pool = "app"

[[pool]]
name = "app"

[[pool.server]]        # the old one
name = "s1"
address = "127.0.0.1:9001"

[[pool.server]]
name = "s2"
address = "127.0.0.1:9002"

[[pool]]
name = "other"         # for later

[[pool.server]]
name = "s1"
address = "127.0.0.1:9003"
"""
INLINE = """listener = [{ name = "web", bind = "127.0.0.1:0", pool = "app" }]
pool = [{ name = "app", server = [{ name = "s1", address = "127.0.0.1:9001" }] }]
"""


def servers(text: str) -> list[str]:
    return [
        f"{server.id} {server.address} {server.weight}" for server in parse_configuration(text, "lbapp.toml").servers
    ]


def test_server_that_is_added_stands_last_in_its_pool_and_all_else_is_as_it_was() -> None:
    text = add_server(TABLES, "app", {"name": "s3", "address": "127.0.0.1:9009", "weight": 7})
    assert servers(text) == [
        "app/s1 127.0.0.1:9001 100", "app/s2 127.0.0.1:9002 100", "app/s3 127.0.0.1:9009 7", "other/s1 127.0.0.1:9003 100",
    ]  # fmt: skip
    assert remove_server(text, "app", "s3").split() == TABLES.split()
    for comment in ("# by hand", "# all of them", "# the old one", "# for later"):
        assert comment in text


def test_server_is_taken_out_of_its_own_pool() -> None:
    assert servers(remove_server(TABLES, "app", "s1")) == ["app/s2 127.0.0.1:9002 100", "other/s1 127.0.0.1:9003 100"]
    assert servers(remove_server(TABLES, "app", "s2")) == ["app/s1 127.0.0.1:9001 100", "other/s1 127.0.0.1:9003 100"]


def test_inline_tables_are_tables_as_well() -> None:
    text = add_server(INLINE, "app", {"name": "s2", "address": "127.0.0.1:9002"})
    assert servers(text) == ["app/s1 127.0.0.1:9001 100", "app/s2 127.0.0.1:9002 100"]
    assert servers(remove_server(text, "app", "s1")) == ["app/s2 127.0.0.1:9002 100"]


def test_what_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        add_server(TABLES, "nobody", {"name": "s1"})
    for pool, server in (("app", "s9"), ("nobody", "s1")):
        with pytest.raises(KeyError):
            remove_server(TABLES, pool, server)
