"""Server blocks and locations of nginx.conf as listeners and routes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.config.load import parse_configuration
from lbapp.migrate.nginx import from_nginx
from lbapp.migrate.outcome import Fate, Note, Outcome
from lbapp.model.actions import FixedResponse, PrefixChange, Redirect
from lbapp.model.admission import Rate
from lbapp.model.entities import Configuration, Listener, Route
from lbapp.model.tls import ClientCertificates
from tests.tls_material import Authority

PASS = "proxy_set_header Host $host; proxy_pass http://p:1;"


def outcome_of(http: str) -> Outcome:
    return from_nginx(f"http {{ {http} }}", Path("/nowhere/nginx.conf"))


def made_of(http: str) -> Configuration:
    outcome = outcome_of(http)
    assert [str(note) for note in outcome.notes if note.fate is Fate.LEFT] == []
    return parse_configuration(outcome.text, "made")


def left_of(http: str) -> list[Note]:
    return [note for note in outcome_of(http).notes if note.fate is Fate.LEFT]


def routes_of(server: str) -> list[Route]:
    (listener,) = made_of(f"server {{ {server} }}").listeners
    return list(listener.routes)


def test_routes_stand_in_the_order_in_which_nginx_asks() -> None:
    places = ("/", "/a", "^~ /a/b", "/a/b/c", r"~ \.x$", "= /e", "~* ^/I")
    routes = routes_of("".join(f"location {place} {{ {PASS} }} " for place in places))
    assert [(route.path, route.path_regex) for route in routes] == [
        ("/e", "/e"),
        ("/a/b/c", r".*\.x"),
        ("/a/b/c", "(?i)/I.*"),
        ("/a/b/c", None),
        ("/a/b", None),
        (None, r".*\.x"),
        (None, "(?i)/I.*"),
        ("/a", None),
    ]
    listener = made_of(f"server {{ location / {{ {PASS} }} }}").listeners[0]
    assert (listener.pool, listener.routes) == ("p-1", ())


def test_expressions_are_not_asked_where_the_longest_prefix_comes_before_them() -> None:
    routes = routes_of(f"location ~ x {{ proxy_pass http://q:1; }} location ^~ / {{ {PASS} }}")
    assert [(route.path_regex, route.pool) for route in routes] == [(None, "p-1"), (".*x.*", "q-1")]


def test_hosts_are_told_apart_and_none_falls_through_to_another() -> None:
    listener = made_of(
        f"server {{ server_name d.example; location / {{ {PASS} }} }}"
        f"server {{ server_name *.b.example; location /x {{ {PASS} }} }}"
        f"server {{ server_name a.b.example c.*; location / {{ {PASS} }} }}"
    ).listeners[0]
    found = [
        (route.host, route.path, route.header_regexes, route.respond.status if route.respond else 0)
        for route in listener.routes
    ]
    assert found == [
        ("a.b.example", None, (), 0),
        ("d.example", None, (), 0),
        ("*.b.example", "/x", (), 0),
        ("*.b.example", None, (), 404),
        (None, None, (("host", r"(?i)c\..*"),), 0),
    ]
    assert listener.pool == "p-1"


def test_addresses_with_the_same_server_blocks_are_one_listener() -> None:
    one = f"server {{ listen 80 default_server; listen [::]:80 default_server; listen 127.0.0.1:81; location / {{ {PASS} }} }}"
    listeners = made_of(
        f"{one} server {{ listen 127.0.0.1:81; server_name b.example; location / {{ {PASS} }} }}"
    ).listeners
    assert [[str(bind) for bind in listener.binds] for listener in listeners] == [
        ["0.0.0.0:80", "[::]:80"],
        ["127.0.0.1:81"],
    ]
    assert [route.host for route in listeners[1].routes] == ["b.example"]


def test_answers_and_redirects_stand_before_what_is_passed_on() -> None:
    server = f"if ($scheme = http) {{ return 301 https://$host$request_uri; }} location / {{ {PASS} }}"
    assert [route.redirect for route in routes_of(server)] == [Redirect(301, scheme="https")]
    (first,) = routes_of(f"if ($host = w.example) {{ return 302 /x; }} location / {{ {PASS} }}")
    assert (first.host, first.redirect) == ("w.example", Redirect(302, path="/x"))
    (only,) = routes_of("rewrite ^ https://a.example$request_uri? permanent;")
    assert only.redirect == Redirect(301, "https", "a.example")
    (answer,) = routes_of('location = /up { add_header Content-Type text/plain; return 200 "ok"; }')
    assert answer.respond == FixedResponse(200, "ok", "text/plain")


def test_paths_are_changed_as_the_uri_of_proxy_pass_or_a_rewrite_says() -> None:
    bare, api, old = routes_of(
        "location /api/ { proxy_pass http://p:1/v1/; proxy_set_header Host $host; }"
        f"location /old {{ rewrite ^/old/(.*)$ /$1 break; {PASS} }}"
    )
    assert bare.redirect == Redirect(301, path="/api/")
    assert (api.prefix_change, old.prefix_change) == (PrefixChange("/api", "/v1"), PrefixChange("/old"))
    (note,) = left_of("server { location /api/ { proxy_pass http://p:1/v1; } }")
    assert note.text == "proxy_pass http://p:1/v1;"


def test_headers_are_those_of_the_nearest_block_and_host_is_the_upstreams_unless_it_is_said() -> None:
    (route,) = routes_of(
        "add_header X-A 1 always; proxy_set_header X-Real-IP $remote_addr; proxy_hide_header X-B;"
        "location /a { proxy_set_header X-Empty ''; proxy_set_header Upgrade $http_upgrade; proxy_pass http://p:1; }"
    )
    assert route.request_headers.set == (("host", "p:1"),)
    assert route.request_headers.remove == ("x-empty",)
    assert (route.response_headers.add, route.response_headers.remove) == ((("x-a", "1"),), ("x-b",))


def test_scheme_that_lbapp_would_not_say_is_listed() -> None:
    server = f"server {{ location / {{ proxy_set_header X-Forwarded-Proto https; {PASS} }} }}"
    assert [note.text for note in left_of(server)] == ["proxy_set_header X-Forwarded-Proto https;"]


def test_what_lbapp_cannot_serve_takes_its_requests_all_the_same() -> None:
    made = outcome_of(
        f"server {{ location /f {{ root /srv; }} location /g {{ fastcgi_pass x; }} location / {{ {PASS} }} }}"
    )
    routes = parse_configuration(made.text, "made").listeners[0].routes
    assert [(route.path, route.respond and route.respond.status) for route in routes] == [("/f", 404), ("/g", 503)]
    assert made.left == 3


def test_what_files_come_before_goes_on_to_the_location_with_a_name() -> None:
    made = outcome_of(
        f"server {{ location / {{ try_files $uri @app; }} location @app {{ {PASS} }} location @none {{ root /x; }} }}"
    )
    assert parse_configuration(made.text, "made").listeners[0].pool == "p-1"
    left = [note.text for note in made.notes if note.fate is Fate.LEFT]
    assert left == ["try_files $uri @app;"]


def test_location_that_keeps_everybody_out_does_so_and_says_what_gets_past() -> None:
    made = outcome_of(
        f"server {{ location ^~ /a {{ deny all; }} location = /i {{ internal; {PASS} }} location / {{ {PASS} }} }}"
    )
    routes = parse_configuration(made.text, "made").listeners[0].routes
    assert [route.respond and route.respond.status for route in routes] == [404, 403]
    assert made.opened == 2
    assert any("nginx decodes them first" in str(note) for note in made.notes)


@pytest.mark.parametrize(
    "rule",
    [
        "auth_basic x;", "allow 10.0.0.0/8; deny all;", "limit_req zone=z;", "auth_request /a;",
        "if ($request_method !~ ^GET$) { return 405; }",
        "limit_except GET { deny all; }", "satisfy any;",
    ],
)  # fmt: skip
def test_rule_of_one_location_that_kept_clients_out_is_listed_as_such(rule: str) -> None:
    made = outcome_of(f"server {{ location / {{ {rule} {PASS} }} }}")
    assert made.opened


def test_rule_that_is_off_keeps_nobody_out() -> None:
    made = outcome_of(f"server {{ location / {{ auth_basic off; auth_request off; allow all; {PASS} }} }}")
    assert (made.left, made.opened) == (0, 0)


def listener_of(server: str, http: str = "") -> Listener:
    return made_of(f"{http} server {{ {server} location / {{ {PASS} }} }}").listeners[0]


def test_networks_and_limits_of_a_whole_server_are_those_of_the_listener() -> None:
    admission = listener_of("deny 10.9.0.0/16; allow 10.1.2.3/8; allow ::1; deny all;").admission
    assert [str(each) for each in admission.allow] == ["10.0.0.0/8", "::1/128"]
    assert [str(each) for each in admission.deny] == ["10.9.0.0/16"]
    zones = "limit_req_zone $binary_remote_addr zone=r:1m rate=5r/s; limit_conn_zone $binary_remote_addr zone=c:1m;"
    admission = listener_of("limit_req zone=r burst=9 nodelay; limit_conn c 4;", zones).admission
    assert (admission.client_request_rate, admission.client_burst, admission.client_connections_max) == (
        Rate(5, 1.0),
        10,
        4,
    )


def test_rule_of_one_server_of_an_address_is_not_taken_for_the_others() -> None:
    other = f"server {{ server_name b.example; location / {{ {PASS} }} }}"
    made = outcome_of(f"server {{ deny all; location / {{ {PASS} }} }} {other}")
    assert made.opened == 1
    assert parse_configuration(made.text, "made").listeners[0].admission.allow == ()


def test_proxies_before_it_are_believed_where_nginx_believed_them() -> None:
    listener = listener_of("listen 80 proxy_protocol; set_real_ip_from 10.0.0.0/8; real_ip_header proxy_protocol;")
    assert [str(each) for each in listener.transport.proxy_protocol_from] == ["10.0.0.0/8"]
    listener = listener_of("set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;")
    assert [str(each) for each in listener.forwarding.trusted_proxies] == ["10.0.0.0/8"]


def test_certificates_of_all_names_are_of_the_listener_and_the_defaults_stands_first(tmp_path: Path) -> None:
    authority = Authority()
    files = [authority.issue(f"{name}.example").write(tmp_path, name) for name in ("a", "b")]
    servers = [
        f"server {{ listen 443 ssl http2{more}; server_name {name}.example;"
        f"ssl_certificate {pair.file}; ssl_certificate_key {pair.key};"
        f"ssl_client_certificate {authority.write(tmp_path)}; ssl_verify_client optional; location / {{ {PASS} }} }}"
        for name, more, pair in zip("ab", ("", " default_server"), files, strict=True)
    ]
    (listener,) = made_of("ssl_protocols TLSv1.3; " + " ".join(servers)).listeners
    assert listener.tls is not None
    assert [each.file for each in listener.tls.certificates] == [files[1].file, files[0].file]
    assert (listener.tls.min_version.value, listener.tls.client_certificates) == ("1.3", ClientCertificates.OPTIONAL)


def test_listener_without_its_certificate_is_not_made() -> None:
    made = outcome_of(
        f"server {{ listen 80; location / {{ {PASS} }} }} server {{ listen 443 ssl; location / {{ {PASS} }} }}"
    )
    assert [listener.name for listener in parse_configuration(made.text, "made").listeners] == ["http-80"]
    assert any("nothing is made without its TLS" in note.why for note in made.notes)


NAMED = "location @app { proxy_set_header Host $host; proxy_pass http://app:1; }"


def test_status_whose_page_is_a_location_with_a_name_is_answered_by_that_location() -> None:
    (first,) = routes_of(f"location ~ ^/git/ {{ error_page 418 = @app; return 418; }} location / {{ {PASS} }} {NAMED}")
    assert (first.path_regex, first.pool, first.respond) == ("/git/.*", "app-1", None)


def test_status_that_nginx_would_answer_otherwise_is_not_answered_as_it_stands() -> None:
    for page in ("= @nowhere", "=200 /ok.html", "https://sorry.example/"):
        outcome = outcome_of(
            f"server {{ location /x {{ error_page 404 {page}; return 404; }} location / {{ {PASS} }} }}"
        )
        route = parse_configuration(outcome.text, "made").listeners[0].routes[0]
        assert route.respond is not None
        assert route.respond.status == 503
        left = [note.text for note in outcome.notes if note.fate is Fate.LEFT]
        assert left == [f"error_page 404 {page};", "return 404;"]
    text = f"server {{ error_page 404 = @nowhere; location /x {{ return 404 gone; }} location / {{ {PASS} }} }}"
    first = parse_configuration(outcome_of(text).text, "made").listeners[0].routes[0]
    assert first.respond == FixedResponse(404, "gone")


def test_files_that_are_not_there_lead_to_the_page_of_404() -> None:
    text = f"server {{ location / {{ root /x; error_page 404 = @app; }} {NAMED} }}"
    assert parse_configuration(outcome_of(text).text, "made").listeners[0].pool == "app-1"
    assert [note.text for note in left_of(text)] == ["error_page 404 = @app;"]


def test_location_with_a_name_has_nothing_of_the_one_that_leads_to_it() -> None:
    text = f"server {{ location /x {{ add_header Cache-Control immutable; try_files $uri @app; }} {NAMED} }}"
    outcome = outcome_of(text)
    route = parse_configuration(outcome.text, "made").listeners[0].routes[0]
    assert (route.pool, route.response_headers.is_empty) == ("app-1", True)
    assert "Cache-Control" not in outcome.text.partition("# What is not")[0]


def test_name_of_the_server_stands_for_itself_in_what_is_said_and_where_clients_are_sent() -> None:
    (listener,) = made_of(
        f"server {{ server_name a.example b.example; location /x {{ return 301 https://$server_name$request_uri; }}"
        f" location / {{ proxy_set_header X-Name $server_name; {PASS} }} }}"
    ).listeners
    assert listener.routes[0].redirect is not None
    assert listener.routes[0].redirect.host == "a.example"
    outcome = outcome_of("server { server_name _; location / { return 301 https://$server_name/; } }")
    assert "return 301 https://$server_name/;" in [note.text for note in outcome.notes if note.fate is Fate.LEFT]


def test_nothing_behind_a_break_is_asked() -> None:
    (route,) = routes_of(f"location /x {{ break; return 403; {PASS} }}")[:1]
    assert (route.pool, route.respond) == ("p-1", None)


def test_all_of_a_condition_that_cannot_be_said_is_listed() -> None:
    left = left_of(f"server {{ location / {{ if ($arg_a) {{ add_header X 1; return 204; }} {PASS} }} }}")
    assert [note.text for note in left] == ["if ($arg_a) {", "add_header X 1;", "return 204;"]


def test_ssl_that_is_on_and_values_that_are_set_are_not_missed(tmp_path: Path) -> None:
    pair = Authority().issue("a.example").write(tmp_path, "a")
    files = f"ssl_certificate {pair.file}; ssl_certificate_key {pair.key};"
    left = left_of(f"server {{ listen 443; ssl on; {files} set $to http://p:1; location / {{ proxy_pass $to; }} }}")
    assert [note.text for note in left if note.text.startswith(("ssl ", "set "))] == []
    assert [note.text for note in left_of(f"server {{ location / {{ set $limit_rate 1k; {PASS} }} }}")] == [
        "set $limit_rate 1k;"
    ]
