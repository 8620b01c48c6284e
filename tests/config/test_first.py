"""The first configuration: from answers to a text that lbapp accepts."""

from __future__ import annotations

import pytest

from lbapp.config.first import Answers, check_path, first_configuration, listen_address, named, server
from lbapp.config.load import parse_configuration


@pytest.mark.parametrize("protocol", ["http", "tcp"])
@pytest.mark.parametrize("listen", [("0.0.0.0:80",), ("0.0.0.0:80", "[::]:80", "unix:/run/x.sock")])
def test_answers_make_what_lbapp_accepts(protocol: str, listen: tuple[str, ...]) -> None:
    check = "/healthz" if protocol == "http" else ""
    text = first_configuration(Answers(listen, (("a", "h:1"), ("b", "unix:/run/b")), protocol, "ip_hash", check))
    made = parse_configuration(text, "f")
    assert [str(each) for each in made.listeners[0].binds] == list(listen)
    assert made.pools[0].health_check.type.value == protocol
    assert [each.name for each in made.pools[0].servers] == ["a", "b"]


def test_port_alone_is_every_address() -> None:
    assert listen_address("80") == listen_address(":80") == "0.0.0.0:80"
    assert listen_address("[::1]:80") == "[::1]:80"


def test_answer_that_cannot_be_used_says_what_can() -> None:
    for read, text in ((listen_address, "nowhere"), (server, "s1=h"), (server, "a/b=h:1"), (check_path, "healthz")):
        with pytest.raises(ValueError, match=r"write|allowed"):
            read(text)
    with pytest.raises(ValueError, match="two servers"):
        named([("a", "h:1"), ("a", "h:2")])


def test_servers_without_a_name_get_one_that_is_free() -> None:
    assert named([("", "h:1"), ("s1", "h:2"), ("", "h:3")]) == (("s2", "h:1"), ("s1", "h:2"), ("s3", "h:3"))
