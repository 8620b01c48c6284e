"""From a request to its pool."""

from __future__ import annotations

import pytest

from lbapp.engine.policy.routing import Router, TooLong, compile_routes
from lbapp.model.actions import Redirect
from lbapp.model.entities import Listener, Route

FIELDS = b"Host: h\r\nX-Tier: gold\r\nAccept: */*\r\nX-Empty:\r\n"


def chosen(
    *routes: Route, host: bytes = b"h", target: bytes = b"/", method: bytes = b"GET", fields: bytes = FIELDS
) -> str | None:
    return pool_of(Router(routes, "fallback"), host=host, target=target, method=method, fields=fields)


def pool_of(
    router: Router, *, host: bytes = b"h", target: bytes = b"/", method: bytes = b"GET", fields: bytes = b""
) -> str | None:
    route = router.choose_route(host, target, method, fields, lambda _: True)
    return None if route is None else route.pool


def is_taken(route: Route, **request: bytes) -> bool:
    return chosen(route, **request) == route.pool


def test_listener_without_routes_sends_everything_to_its_pool() -> None:
    router = compile_routes(Listener("web", (), pool="app"))
    assert not router.has_routes
    assert pool_of(router) == "app"


def test_request_that_matches_nothing_goes_to_the_listeners_pool_or_nowhere() -> None:
    routes = (Route("api", path="/v1/"),)
    for pool in ("app", None):
        router = compile_routes(Listener("web", (), pool=pool, routes=routes))
        assert router.has_routes
        assert pool_of(router) == pool
        assert pool_of(router, target=b"/v1/x") == "api"


def test_first_route_that_matches_wins() -> None:
    assert chosen(Route("a", path="/x"), Route("b", path="/"), target=b"/x") == "a"
    assert chosen(Route("b", path="/"), Route("a", path="/x"), target=b"/x") == "b"


def test_order_holds_between_named_hosts_wildcards_and_routes_for_any_host() -> None:
    routes = [Route("any", path="/p"), Route("wild", host="*.ex.com"), Route("named", host="a.ex.com"), Route("rest")]
    assert chosen(*routes, host=b"a.ex.com", target=b"/p") == "any"
    assert chosen(*routes, host=b"a.ex.com") == "wild"
    assert chosen(*routes[2:], *routes[:2], host=b"a.ex.com") == "named"
    assert chosen(*routes, host=b"b.ex.com") == "wild"
    assert chosen(*routes, host=b"other") == "rest"


@pytest.mark.parametrize("host", [b"ex.com", b"EX.com", b"ex.com:8080", b"ex.com.", b"Ex.Com.:80", b"ex.com:"])
def test_host_is_compared_without_case_port_and_final_dot(host: bytes) -> None:
    assert is_taken(Route("p", host="ex.com"), host=host)
    assert is_taken(Route("p", host="EX.com."), host=host)


@pytest.mark.parametrize(
    "host", [b"", b"com", b"a.ex.com", b"ex.com.evil", b"ex.comm", b"notex.com", b"ex.com..", b":80"]
)
def test_other_hosts_do_not_match(host: bytes) -> None:
    assert not is_taken(Route("p", host="ex.com"), host=host)


def test_wildcard_takes_one_or_more_labels_and_not_the_bare_domain() -> None:
    route = Route("p", host="*.Ex.com")
    assert is_taken(route, host=b"a.ex.com:80")
    assert is_taken(route, host=b"A.B.ex.com")
    for host in (b"ex.com", b".ex.com", b"aex.com", b"a.ex.com.evil"):
        assert not is_taken(route, host=host)


def test_ipv6_host_matches_in_brackets_with_and_without_port() -> None:
    for written in ("[2001:DB8::1]", "2001:db8::1"):
        assert is_taken(Route("p", host=written), host=b"[2001:db8::1]:8080")
        assert is_taken(Route("p", host=written), host=b"[2001:db8::1]")


def test_host_in_another_script_matches_its_ascii_form() -> None:
    assert is_taken(Route("p", host="bücher.example"), host=b"xn--bcher-kva.example")
    assert is_taken(Route("p", host="*.bücher.example"), host=b"www.xn--bcher-kva.example")


def test_path_is_a_plain_prefix_of_the_path_and_never_of_the_query() -> None:
    route = Route("p", path="/v1/")
    assert is_taken(route, target=b"/v1/")
    assert is_taken(route, target=b"/v1/x?y")
    for target in (b"/v1", b"/V1/", b"/x?/v1/", b"/v1?/", b"*"):
        assert not is_taken(route, target=target)
    assert is_taken(Route("p", path="/v1"), target=b"/v1?a=b")
    assert is_taken(Route("p", path="/v1"), target=b"/v10")


def test_method_is_exact() -> None:
    assert is_taken(Route("p", method="GET"))
    assert not is_taken(Route("p", method="GET"), method=b"get")
    assert not is_taken(Route("p", method="GET"), method=b"HEAD")


@pytest.mark.parametrize(
    ("name", "value"), [("x-tier", "gold"), ("X-TIER", "gold"), ("host", "h"), ("accept", "*/*"), ("x-empty", "")]
)
def test_header_matches_by_name_without_case_and_whole_value(name: str, value: str) -> None:
    assert is_taken(Route("p", headers=((name, value),)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-tier", "GOLD"), ("x-tier", "gol"), ("x-tier", ""), ("tier", "gold"), ("x-tie", "r: gold"), ("x-none", ""),
     ("accept", ".../*"), ("gold", "")],
)  # fmt: skip
def test_part_of_a_header_does_not_match(name: str, value: str) -> None:
    assert not is_taken(Route("p", headers=((name, value),)))


def test_header_value_may_have_space_around_it_and_any_of_several_lines_counts() -> None:
    route = Route("p", headers=(("x-tier", "gold"),))
    assert is_taken(route, fields=b"X-Tier:gold\r\n")
    assert is_taken(route, fields=b"x-tier: \tgold \t\r\n")
    assert is_taken(route, fields=b"X-Tier: tin\r\nX-Tier: gold\r\n")
    assert not is_taken(route, fields=b"X-Other: X-Tier: gold\r\n")
    assert not is_taken(route, fields=b"")


def test_all_parts_of_a_route_have_to_match() -> None:
    route = Route("p", host="h", path="/a", method="PUT", headers=(("x-tier", "gold"), ("accept", "*/*")))
    assert is_taken(route, target=b"/a", method=b"PUT")
    assert not is_taken(route, target=b"/a", method=b"PUT", host=b"g")
    assert not is_taken(route, target=b"/b", method=b"PUT")
    assert not is_taken(route, target=b"/a")
    assert not is_taken(route, target=b"/a", method=b"PUT", fields=b"X-Tier: gold\r\n")


def test_path_expression_has_to_take_the_whole_path_and_never_sees_the_query() -> None:
    route = Route("p", path_regex="/v[0-9]+/.*")
    assert is_taken(route, target=b"/v12/x?y")
    for target in (b"/v1", b"/vx/", b"/a/v1/", b"/x?/v1/"):
        assert not is_taken(route, target=target)


def test_path_longer_than_an_expression_may_see_is_refused_and_not_passed_over() -> None:
    route = Route("p", path="/v", path_regex="/v.*")
    assert is_taken(route, target=b"/v" + b"x" * 1022)
    with pytest.raises(TooLong, match="longer than 1024 bytes") as refused:
        is_taken(route, target=b"/v" + b"x" * 1023)
    assert refused.value.status == 414
    assert not is_taken(route, target=b"/other" + b"x" * 2000), (
        "what another condition rules out is not held against it"
    )


def test_header_may_have_to_be_there_or_not_to_be_there() -> None:
    assert is_taken(Route("p", headers_present=(("x-tier", True), ("x-none", False))))
    assert is_taken(Route("p", headers_present=(("x-empty", True),)))
    assert not is_taken(Route("p", headers_present=(("x-none", True),)))
    assert not is_taken(Route("p", headers_present=(("X-TIER", False),)))
    assert not is_taken(Route("p", headers_present=(("tier", True),)))


def test_header_expression_has_to_take_one_whole_value() -> None:
    route = Route("p", header_regexes=(("x-tier", "gold|silver"),))
    assert is_taken(route)
    assert is_taken(route, fields=b"X-Tier: tin\r\nx-tier:\tsilver \r\n")
    for fields in (b"", b"X-Tier: golden\r\n", b"X-Tier: a gold\r\n", b"X-Other: gold\r\n"):
        assert not is_taken(route, fields=fields)
    with pytest.raises(TooLong, match="the field x-tier") as refused:
        is_taken(route, fields=b"X-Tier: %b\r\n" % (b"x" * 1025))
    assert refused.value.status == 431


def test_closed_route_is_passed_over_and_is_the_last_resort() -> None:
    router = Router((Route(redirect=Redirect(scheme="https")), Route("a", path="/x"), Route("b", path="/")), "c")

    def chosen_of(open_pools: set[str], target: bytes = b"/x") -> str | None:
        route = router.choose_route(b"h", target, b"GET", b"", lambda each: bool(set(each.pools) & open_pools))
        return None if route is None else route.pool

    assert chosen_of({"a", "b", "c"}) == "a"
    assert chosen_of({"b", "c"}) == "b"
    assert chosen_of({"c"}) == "c"
    assert chosen_of(set()) == "a"
    assert chosen_of(set(), b"/y") == "b"
    alone = Router((Route(redirect=Redirect(scheme="https")),), None)
    assert alone.choose_route(b"h", b"/", b"GET", b"", lambda _: False) is None
