"""Rules and conditions of haproxy.cfg as routes."""

from __future__ import annotations

import pytest

from lbapp.config.load import parse_configuration
from lbapp.migrate.haproxy import from_haproxy
from lbapp.migrate.outcome import Fate, Note
from lbapp.model.actions import FixedResponse, PrefixChange, Redirect
from lbapp.model.admission import Rate
from lbapp.model.entities import Configuration, Route

BEFORE = (
    "defaults\n mode http\nfrontend f\n bind 127.0.0.1:80\n default_backend app\nbackend app\n server s 127.0.0.1:1"
)
BEHIND = "backend other\n server o 127.0.0.1:2\nfrontend web\n bind 127.0.0.1:809\n default_backend app"


def made_of(rules: str, backend: str = "") -> tuple[Configuration, dict[int, Note]]:
    """Return what comes of a frontend with these rules, and the notes on them and on the backend by the line, from 1."""
    lines = BEFORE.split("\n")
    lines += [f" {each}" for each in backend.split("\n") if each]
    lines += BEHIND.split("\n")
    begin = len(lines)
    lines += [f" {each}" for each in rules.split("\n") if each]
    outcome = from_haproxy("\n".join(lines), "f.cfg")
    notes = {int(note.number) - begin: note for note in outcome.notes if int(note.number) > begin}
    notes |= {
        int(note.number) - 7: note for note in outcome.notes if 7 < int(note.number) <= begin and note.fate is Fate.LEFT
    }
    return parse_configuration(outcome.text, "made"), notes


def routes_of(rules: str, backend: str = "") -> list[Route]:
    made, notes = made_of(rules, backend)
    assert [note for note in notes.values() if note.fate is Fate.LEFT] == []
    return list(made.listeners[1].routes)


def answers(routes: list[Route]) -> list[int]:
    return [
        route.respond.status if route.respond else route.redirect.status if route.redirect else 0 for route in routes
    ]


def test_denials_stand_before_what_requests_are_led_by() -> None:
    routes = routes_of("use_backend other if { path_beg /x }\nhttp-request deny deny_status 404 if { path_end .php }")
    assert answers(routes) == [404, 0]
    assert (routes[0].path_regex, routes[1].path) == (r".*\.php", "/x")


def test_denial_that_cannot_be_said_is_listed_as_one_that_kept_clients_out() -> None:
    made, notes = made_of("http-request deny if { path /x } { src 10.0.0.0/8 }")
    assert made.listeners[1].routes == ()
    assert notes[1].opens
    assert "NOT TAKEN, AND IT KEPT CLIENTS OUT" in str(notes[1]).upper()


def test_networks_that_are_kept_out_or_alone_let_in_are_those_of_the_listener() -> None:
    made, notes = made_of(
        "acl in src 10.1.2.3/8 ::1\nhttp-request deny if { src 10.9.0.0/16 }\nhttp-request deny unless in"
    )
    assert notes.keys() <= {1}
    admission = made.listeners[1].admission
    assert [str(each) for each in admission.deny] == ["10.9.0.0/16"]
    assert [str(each) for each in admission.allow] == ["10.0.0.0/8", "::1/128"]
    made, notes = made_of("tcp-request connection accept if { src 10.0.0.0/8 }\ntcp-request connection reject")
    assert [str(each) for each in made.listeners[1].admission.allow] == ["10.0.0.0/8"]


def test_allow_before_rules_that_hold_for_others_only_is_listed() -> None:
    made, notes = made_of("http-request allow if { src 10.0.0.0/8 }\nhttp-request deny if { path_beg /x }")
    assert notes[1].fate is Fate.LEFT
    assert answers(list(made.listeners[1].routes)) == [403]


def test_who_asks_for_no_host_of_a_list_is_kept_out_whatever_else_is_asked_for() -> None:
    rules = "acl a hdr(host) -i a.example\nacl b hdr(host) -i b.example\nhttp-request deny if !a !b\n"
    rules += "use_backend other if { path_beg /x }"
    routes = routes_of(rules)
    found = [(route.host, route.path, route.pool, route.respond.status if route.respond else 0) for route in routes]
    assert found == [
        ("a.example", "/x", "other", 0),
        ("b.example", "/x", "other", 0),
        ("a.example", None, "app", 0),
        ("b.example", None, "app", 0),
        (None, None, None, 403),
    ]


def test_requests_of_one_client_are_limited_as_a_stick_table_does() -> None:
    rules = "stick-table type ip size 1m expire 1m store http_req_rate(10s)\nhttp-request track-sc0 src\n"
    made, notes = made_of(rules + "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }")
    admission = made.listeners[1].admission
    assert (admission.client_request_rate, admission.client_burst) == (Rate(2, 1.0), 20)
    assert [note.fate for note in notes.values()] == [Fate.DIFFERS]
    made, notes = made_of(rules + "http-request deny if { sc_http_err_rate(0) gt 20 }")
    assert made.listeners[1].admission.client_request_rate == Rate()
    assert notes[3].opens


@pytest.mark.parametrize(
    ("rule", "redirect"),
    [
        ("redirect scheme https code 301 if !{ ssl_fc }", Redirect(301, scheme="https")),
        (
            "http-request redirect prefix https://www.x.example/a code 308",
            Redirect(308, "https", "www.x.example", None, "/a{path}"),
        ),
        ("http-request redirect location http://x.example:81/b?c", Redirect(302, "http", "x.example", 81, "/b?c")),
        (
            "http-request redirect location https://%[hdr(host)]%[capture.req.uri] code 307",
            Redirect(307, "https", None, None, None),
        ),
    ],
)
def test_redirects_lead_where_they_led(rule: str, redirect: Redirect) -> None:
    (route,) = routes_of(rule)
    assert route.redirect == redirect


def test_what_is_decided_by_tls_is_decided_for_each_address() -> None:
    made, notes = made_of(
        "bind 127.0.0.1:81\nredirect scheme https if { ssl_fc }\nhttp-request set-header X-Forwarded-Proto http"
    )
    assert made.listeners[1].routes == ()
    assert {note.fate for note in notes.values()} == {Fate.NOT_NEEDED}


def test_answers_without_a_server_are_given() -> None:
    rules = 'monitor-uri /up\nhttp-request return status 200 content-type "text/plain" string "ok now" if { path /hi }'
    first, second = routes_of(rules)
    assert (first.path_regex, first.respond) == ("/up", FixedResponse(200, ""))
    assert (second.path_regex, second.respond) == ("/hi", FixedResponse(200, "ok now", "text/plain"))


def test_headers_of_a_frontend_are_of_the_listener_and_those_of_a_backend_of_its_routes() -> None:
    made, notes = made_of(
        "http-request set-header X-Real-IP %[src]\nhttp-response del-header Server\nuse_backend other if { path_beg /x }",
        backend="http-request add-header X-App 1\nhttp-response set-header Y %[rand]",
    )
    listener = made.listeners[1]
    assert listener.request_headers.set == (("x-real-ip", "{client_address}"),)
    assert listener.response_headers.remove == ("server",)
    other, app = listener.routes
    assert (other.request_headers.add, app.request_headers.add, app.pool) == ((), (("x-app", "1"),), "app")
    assert [note.why for note in notes.values() if note.fate is Fate.LEFT] == [
        "its name or value cannot be said in lbapp's words"
    ]


@pytest.mark.parametrize(
    "rule", [r"replace-path ^/api/(.*) /\1", r"replace-path /api(/)?(.*) /\2", "set-path %[path,regsub(^/api/,/)]"]
)
def test_path_that_a_backend_strips_is_stripped_of_its_routes(rule: str) -> None:
    (route,) = routes_of("", backend=f"http-request {rule}")
    assert route.pool == "app"
    assert route.prefix_change == PrefixChange("/api")


def test_behind_a_rule_that_changes_the_path_nothing_asks_for_it() -> None:
    made, notes = made_of(
        "http-request set-path /x%[path]\nhttp-request deny if { path_beg /x }\nuse_backend other if { path_beg /y }"
    )
    assert made.listeners[1].routes == ()
    assert {at: note.opens for at, note in notes.items()} == {1: False, 2: True, 3: False}


def test_headers_that_a_rule_has_changed_are_not_asked_for() -> None:
    made, notes = made_of("http-request set-header X-A 1\nuse_backend other if { hdr(x-a) 1 }")
    assert made.listeners[1].routes == ()
    assert notes[2].fate is Fate.LEFT


@pytest.mark.parametrize(
    ("criterion", "keys"),
    [
        ("hdr(host) -i A.example", {"host": "a.example"}),
        ("req.hdr(host),lower,field(1,:) a.example", {"host": "a.example"}),
        ("hdr_beg(host) -i www.", {"header_regexes": (("host", r"(?i)www\..*"),)}),
        ("hdr_end(host) .example", {"header_regexes": (("host", r".*\.example"),)}),
        ("hdr_dom(host) -i shop", {"header_regexes": (("host", r"(?i)(.*\.)?shop([.:].*)?"),)}),
        ("path_beg -i /Static", {"path_regex": r"/[sS][tT][aA][tT][iI][cC].*"}),
        ("path_sub secret", {"path_regex": ".*secret.*"}),
        ("path_dir img", {"path_regex": "/(.*/)?img(/.*)?"}),
        ("path_reg ^/v[0-9]/", {"path_regex": "/v[0-9]/.*"}),
        ("path -m beg /m", {"path": "/m"}),
        ("url_beg /u", {"path": "/u"}),
        ("hdr(x-a) b", {"headers": (("x-a", "b"),)}),
        ("hdr(x-a) -m found", {"headers_present": (("x-a", True),)}),
        ("method PUT", {"method": "PUT"}),
    ],
)
def test_conditions_are_those_of_a_route(criterion: str, keys: dict[str, object]) -> None:
    (route,) = routes_of(f"use_backend other if {{ {criterion} }}")
    assert {key: getattr(route, key) for key in keys} == keys


@pytest.mark.parametrize(
    "condition",
    [
        "if { path_beg /a } { path_reg b } { path_end c }", "unless { path_beg /a }", "if { src 10.0.0.0/8 }", "if nowhere",
        "if { path -f /etc/list }", "if { hdr(upgrade) websocket }", "if { path_reg (a+)+$ }", "if !{ path /a }",
        "if { nbsrv(app) lt 1 }", "if { url_param(x) y }",
    ],
)  # fmt: skip
def test_condition_that_a_route_cannot_ask_for_is_listed(condition: str) -> None:
    made, notes = made_of(f"use_backend other {condition}")
    assert made.listeners[1].routes == ()
    assert notes[1].fate is Fate.LEFT


def test_names_of_a_tls_hello_are_routes_by_sni() -> None:
    text = "listen t\n mode tcp\n bind 127.0.0.1:443\n tcp-request inspect-delay 5s\n"
    text += " tcp-request content accept if { req_ssl_hello_type 1 }\n"
    text += " use_backend b if { req.ssl_sni -i a.example }\n server s 127.0.0.1:1\nbackend b\n mode tcp\n server s 127.0.0.1:2\n"
    outcome = from_haproxy(text, "f.cfg")
    assert outcome.left == 0
    (listener,) = parse_configuration(outcome.text, "made").listeners
    assert [(route.sni, route.pool) for route in listener.routes] == [("a.example", "b")]
    assert listener.pool == "t"


def test_what_is_no_tls_is_not_led_by_a_route_for_tls() -> None:
    text = (
        "listen t\n mode tcp\n bind 127.0.0.1:443\n use_backend b if { req.ssl_hello_type 1 }\n server s 127.0.0.1:1\n"
    )
    text += "backend b\n mode tcp\n server s 127.0.0.1:2\n"
    outcome = from_haproxy(text, "f.cfg")
    assert [note.text for note in outcome.notes if note.fate is Fate.LEFT] == [
        "use_backend b if { req.ssl_hello_type 1 }"
    ]
    outcome = from_haproxy(text.replace("1 }", "1 } { req.ssl_sni a.example }"), "f.cfg")
    assert parse_configuration(outcome.text, "made").listeners[0].routes[0].sni == "a.example"


def test_rule_that_keeps_nobody_out_where_clients_come_in_makes_no_route() -> None:
    made, notes = made_of("http-request deny unless { hdr(host) a } or !{ ssl_fc }")
    assert (made.listeners[1].routes, made.listeners[1].pool) == ((), "app")
    assert notes[1].fate is Fate.NOT_NEEDED


def test_behind_a_backend_for_all_no_other_gets_anything() -> None:
    made, notes = made_of("use_backend other\nuse_backend app if { path_beg /x }")
    assert (made.listeners[1].routes, made.listeners[1].pool) == ((), "other")
    assert notes[2].fate is Fate.NOT_NEEDED


def test_header_that_is_removed_by_what_it_says_stays_and_is_listed() -> None:
    made, notes = made_of(
        "reqidel ^Cookie:\\ old=\nrspidel ^Set-Cookie:\\ IP=\nreqidel ^X-A:\nrspidel ^X-B:.*\nreqdel ^X-C"
    )
    assert made.listeners[1].request_headers.remove == ("x-a",)
    assert made.listeners[1].response_headers.remove == ("x-b",)
    assert {at for at, note in notes.items() if note.fate is Fate.LEFT} == {1, 2, 5}


def test_what_is_said_of_the_connection_is_not_needed_and_takes_nothing_else_with_it() -> None:
    made, notes = made_of("reqidel ^Connection:\nreqadd Connection:\\ close\nreqidel ^X-A:")
    assert made.listeners[1].request_headers.remove == ("x-a",)
    assert [note.fate for note in notes.values()] == [Fate.NOT_NEEDED] * 2


def test_behind_an_expression_over_the_request_nothing_is_asked_that_it_may_have_changed() -> None:
    made, notes = made_of("reqrep ^([^\\ ]*)\\ /a/(.*) \\1\\ /\\2\nuse_backend other if { path_beg /x }")
    assert made.listeners[1].routes == ()
    assert [note.fate for note in notes.values()] == [Fate.LEFT] * 2
    assert len(routes_of("use_backend other if { path_beg /x }")) == 1


def test_header_for_the_address_of_a_client_is_said_under_the_name_that_it_had() -> None:
    for rules, backend in (("option forwardfor header X-Real-IP", ""), ("", "option forwardfor header X-Real-IP")):
        made, _ = made_of(rules, backend)
        listener = made.listeners[1]
        said = [listener.request_headers, *(route.request_headers for route in listener.routes)]
        assert [dict(each.set) for each in said if each.set] == [{"x-real-ip": "{client_address}"}]


def test_rules_behind_an_answer_for_everybody_are_not_needed() -> None:
    _, notes = made_of(
        "http-request redirect scheme https\nhttp-request set-header X-Forwarded-Proto https\nhttp-request lua.x"
    )
    assert {at: note.fate for at, note in notes.items()} == {2: Fate.NOT_NEEDED, 3: Fate.NOT_NEEDED}
