"""`[listener.admission]` and its defaults in `[limits]`: what is accepted, what is refused."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.admission import NO_RATE, Admission, Rate
from lbapp.model.errors import ConfigurationError

HTTP = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
TCP = HTTP + 'protocol = "tcp"\n'
POOL = '[[pool]]\nname = "app"\n'


def admission(table: str, limits: str = "", listener: str = HTTP) -> Admission:
    text = f"{listener}[listener.admission]\n{table}\n{POOL}[limits]\n{limits}\n"
    return parse_configuration(text, "f").listeners[0].admission


def refusal(table: str, limits: str = "", listener: str = HTTP) -> str:
    with pytest.raises(ConfigurationError) as caught:
        admission(table, limits, listener)
    (problem,) = caught.value.problems
    assert problem.line > 0
    return f"{problem.key}: {problem.message}"


def test_nobody_is_limited_who_was_not_asked_to_be() -> None:
    assert admission("") == Admission()
    assert parse_configuration(HTTP + POOL, "f").listeners[0].admission == Admission()


def test_listener_goes_by_the_limits_unless_it_says_otherwise() -> None:
    limits = 'client_connections_max = 10\nclient_request_rate = "50/s"\nclient_burst = 100'
    assert admission("", limits) == Admission(0, 10, Rate(50, 1.0), 100)
    own = 'connections_max = 5\nclient_connections_max = 2\nclient_request_rate = "600/m"\nclient_burst = 7'
    assert admission(own, limits) == Admission(5, 2, Rate(600, 60.0), 7)


def test_listener_can_do_without_what_the_limits_ask() -> None:
    limits = 'client_connections_max = 10\nclient_request_rate = "50/s"'
    assert admission('client_connections_max = 0\nclient_request_rate = "none"', limits) == Admission()


def test_requests_of_a_tcp_listener_are_nobodys_to_count() -> None:
    limits = 'client_connections_max = 10\nclient_request_rate = "50/s"\nclient_burst = 9'
    assert admission("", limits, TCP) == Admission(client_connections_max=10)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("none", NO_RATE), ("1/s", Rate(1, 1.0)), ("9999999/m", Rate(9_999_999, 60.0)), ("7/h", Rate(7, 3600.0))],
)
def test_rate_is_a_number_and_a_time(text: str, rate: Rate) -> None:
    assert admission(f'client_request_rate = "{text}"').client_request_rate == rate


@pytest.mark.parametrize(
    "value", ['"0/s"', '"-1/s"', '"1/d"', '"1 / s"', '"10"', "10", "true", '"1/s "', '"10000000/s"']
)
def test_anything_else_is_no_rate(value: str) -> None:
    assert "is not a rate; write a number and a time" in refusal(f"client_request_rate = {value}")


def test_networks_are_taken_of_both_families_and_single_addresses() -> None:
    found = admission('allow = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]\ndeny = ["10.1.0.0/16"]')
    assert found.allow == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), ip_network("192.0.2.1"))
    assert found.deny == (ip_network("10.1.0.0/16"),)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"10.0.0.0/8"', "allowed: a list of networks"),
        ('["10.0.0.1/8"]', 'did you mean "10.0.0.0/8"?'),
        ('["example.com"]', "is not a network"),
        ("[10]", "is not a network"),
        ('["10.0.0.0/33"]', "is not a network"),
    ],
)
def test_what_is_no_network_is_refused_with_what_to_write(value: str, said: str) -> None:
    assert said in refusal(f"allow = {value}")


@pytest.mark.parametrize("key", ["client_request_rate", "client_burst"])
def test_tcp_listener_that_would_count_requests_is_refused(key: str) -> None:
    value = '"1/s"' if key == "client_request_rate" else "1"
    assert refusal(f"{key} = {value}", listener=TCP) == (
        f"listener[0].admission.{key}: a tcp listener reads no requests; remove it"
    )


def test_burst_without_a_rate_is_refused() -> None:
    said = "listener[0].admission.client_burst: it means nothing without a client_request_rate; add that, or remove it"
    assert refusal("client_burst = 5") == said
    assert refusal('client_burst = 5\nclient_request_rate = "none"', 'client_request_rate = "5/s"') == said
    assert admission("client_burst = 5", 'client_request_rate = "5/s"').client_burst == 5
