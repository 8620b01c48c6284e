"""The tables of what a route does: values that pass, and sentences for those that do not."""

from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.actions import FixedResponse, Forwarding, HeaderRules, Hsts, PrefixChange, Redirect, Share
from lbapp.model.entities import Listener
from lbapp.model.errors import ConfigurationError

TOP = '[[listener]]\nname = "l"\nbind = "127.0.0.1:0"\n'
POOLS = '[[pool]]\nname = "app"\n[[pool]]\nname = "canary"\n'


def listener_of(text: str) -> Listener:
    return parse_configuration(TOP + text + "\n" + POOLS, "f").listeners[0]


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        listener_of(text)
    return [f"{problem.key}: {problem.message}" for problem in refused.value.problems]


def route(text: str) -> str:
    return f"[[listener.route]]\n{text}"


def test_every_action_reaches_the_model() -> None:
    routes = listener_of(
        route(
            'pool = "app"\nstrip_prefix = "/api/"\nheaders = { A = "1", b = { present = false }, c = { regex = "x|y" } }'
        )
        + "\n"
        + route('split = [{ pool = "app", weight = 95 }, { pool = "canary", weight = 5 }]\nsplit_by = "request"')
        + "\n"
        + route('redirect = { scheme = "https", status = 308, host = "www.{host}", port = 8443, path = "/n{path}" }')
        + "\n"
        + route(
            'respond = { status = 403, body = "no", content_type = "text/html; charset=utf-8" }\npath_regex = "/x/.*"'
        )
        + "\n"
        + route('pool = "app"\nreplace_prefix = { prefix = "/a", by = "/b/" }\nrequest_headers = { remove = ["X-A"] }')
    ).routes
    assert routes[0].prefix_change == PrefixChange("/api")
    assert (routes[0].headers, routes[0].headers_present, routes[0].header_regexes) == (
        (("a", "1"),), (("b", False),), (("c", "x|y"),),
    )  # fmt: skip
    assert (routes[1].split, routes[1].split_by_client) == ((Share("app", 95), Share("canary", 5)), False)
    assert routes[1].pools == ("app", "canary")
    assert routes[2].redirect == Redirect(308, "https", "www.{host}", 8443, "/n{path}")
    assert routes[2].pools == ()
    assert routes[3].respond == FixedResponse(403, "no", "text/html; charset=utf-8")
    assert routes[3].path_regex == "/x/.*"
    assert routes[4].prefix_change == PrefixChange("/a", "/b")
    assert routes[4].request_headers == HeaderRules(remove=("x-a",))


def test_settings_of_a_listener_reach_the_model() -> None:
    found = listener_of(
        'pool = "app"\nhsts = { max_age = "1h", include_subdomains = true }\n'
        'forwarding = { trusted_proxies = ["10.0.0.0/8", "::1"], forwarded = true, via = false }\n'
        'response_headers = { set = { X-A = "1" }, add = { b = "{client_address}" }, remove = ["server"] }'
    )
    assert found.hsts == Hsts(3600.0, include_subdomains=True)
    assert [str(each) for each in found.forwarding.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert (found.forwarding.forwarded, found.forwarding.via) == (True, False)
    assert found.response_headers == HeaderRules((("x-a", "1"),), (("b", "{client_address}"),), ("server",))
    assert listener_of('pool = "app"').forwarding == Forwarding()


@pytest.mark.parametrize(
    "name", ["Connection", "content-length", "Transfer-Encoding", "Host", "upgrade", "te", "trailer", "keep-alive"]
)
@pytest.mark.parametrize("side", ["request_headers", "response_headers"])
def test_fields_that_frame_or_route_are_nobodys_to_change(name: str, side: str) -> None:
    may_be_set = name == "Host" and side == "request_headers"
    for rule in (
        *(() if may_be_set else (f'set = {{ {name} = "1" }}',)),
        f'add = {{ {name} = "1" }}',
        f'remove = ["{name}"]',
    ):
        (problem,) = problems_of(f'pool = "app"\n{side} = {{ {rule} }}')
        assert "it frames or routes the message, which lbapp does itself" in problem


@pytest.mark.parametrize("name", ["X-Forwarded-For", "via", "Forwarded", "expect"])
def test_what_lbapp_says_itself_is_not_changed_by_rules(name: str) -> None:
    assert problems_of(f'pool = "app"\nrequest_headers = {{ set = {{ {name} = "1" }} }}')


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('pool = "app"\nrequest_headers = { set = { "a b" = "1" } }', "'a b' is not accepted; allowed: header names"),
        ('pool = "app"\nrequest_headers = { set = { a = "1\\r\\nb: 2" } }', "allowed: ASCII on one line"),
        ('pool = "app"\nrequest_headers = { set = { a = " 1" } }', "allowed: ASCII on one line"),
        ('pool = "app"\nrequest_headers = { set = { a = 1 } }', "1 is not accepted for a"),
        ('pool = "app"\nrequest_headers = { set = { a = "1", A = "2" } }', "each once in any case"),
        ('pool = "app"\nrequest_headers = { set = 1 }', "allowed: a table"),
        ('pool = "app"\nrequest_headers = { remove = "a" }', "allowed: a list of header names"),
        (
            'pool = "app"\nrequest_headers = { set = { a = "{cookie}" } }',
            "'{cookie}' is not known in a; allowed: '{client",
        ),
        ('pool = "app"\nforwarding = { trusted_proxies = "10.0.0.0/8" }', "allowed: a list of networks"),
        ('pool = "app"\nforwarding = { trusted_proxies = ["10.0.0.1/8"] }', "'10.0.0.1/8' is not a network"),
        ('pool = "app"\nforwarding = { trusted_proxies = [1] }', "1 is not a network"),
        ('pool = "app"\nforwarding = { via = 1 }', "1 is not accepted; allowed: true or false"),
        ('pool = "app"\nhsts = { max_age = 1 }', "1 is not a duration"),
        (route('redirect = { status = 200, path = "/" }'), "200 is not accepted; allowed: 301, 302, 303, 307, 308"),
        (route('redirect = { scheme = "ftp" }'), "'ftp' is not known; allowed: 'http' or 'https'"),
        (route('redirect = { host = "evil/" }'), "allowed: a host without port"),
        (route('redirect = { host = "{path}" }'), "'{path}' is not known in host; allowed: '{host}'"),
        (route('redirect = { path = "x" }'), "allowed: a path from its slash on"),
        (route('redirect = { path = "/x#y" }'), "allowed: a path from its slash on"),
        (route("respond = { status = 304 }"), "304 is not accepted; allowed: 200, 202"),
        (route('respond = { content_type = "a" }'), "allowed: a media type"),
        (route("respond = { body = 1 }"), "1 is not accepted; allowed: text"),
        (route('pool = "app"\npath_regex = "(a+)+"'), "'(a+)+' is not safe: "),
        (route('pool = "app"\nheaders = { a = { regex = "(" } }'), "'(' is not a regular expression"),
        (route('pool = "app"\nheaders = { a = { regexp = "x" } }'), "allowed: a value, { present = true }"),
        (route('pool = "app"\nheaders = { a = "1", A = { present = true } }'), "each once in any case"),
        (
            route('pool = "app"\nheaders = { X-Forwarded-For = { present = true } }'),
            "takes the field out before routes",
        ),
        (route('pool = "app"\nheaders = { connection = "close" }'), "takes the field out before routes"),
        ('pool = "app"\nrequest_headers = { set = { host = "{host}" } }', "allowed: a host as it is"),
        ('pool = "app"\nrequest_headers = { set = { Host = "a b" } }', "'a b' is not accepted for host"),
        (route('pool = "app"\nheaders = 1'), "1 is not accepted; allowed: a table"),
        (route('split = [{ pool = "app", weight = 1 }, { pool = "canary", weight = -1 }]'), "-1 is too small"),
        (
            route('split = [{ pool = "app", weight = 1 }, { pool = "canary", weight = 1 }]\nsplit_by = "x"'),
            "'x' is not known",
        ),
    ],
)
def test_value_that_is_refused_gets_one_sentence(text: str, problem: str) -> None:
    found = problems_of(text)
    assert len(found) == 1
    assert problem in found[0]
