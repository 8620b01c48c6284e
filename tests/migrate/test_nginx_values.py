"""Values of nginx.conf in lbapp's words."""

from __future__ import annotations

from typing import Any

import pytest

from lbapp.migrate.nginx_values import (
    Target,
    address_of,
    listen,
    moved,
    redirect,
    rewritten,
    stripped,
    target,
    template,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$remote_addr", "{client_address}"),
        ("a-${scheme}x", "a-{scheme}x"),
        ("$uri", None),
        ("{host}", None),
        ("plain", "plain"),
    ],
)
def test_text_with_a_variable_that_lbapp_has_not_is_no_text(text: str, wanted: str | None) -> None:
    assert template(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://app", Target(False, "app", "")), ("https://a:8443/x/", Target(True, "a:8443", "/x/")),
        ("http://unix:/run/a.sock:/x", Target(False, "unix:/run/a.sock", "/x")), ("http://$x", None), ("app", None),
    ],
)  # fmt: skip
def test_where_something_is_passed_on_to_is_read(text: str, wanted: Target | None) -> None:
    assert target(text) == wanted


def test_places_have_the_port_of_their_scheme() -> None:
    assert [address_of(place, port=443) for place in ("a", "a:1", "[::1]", "[::1]:1", "unix:/a")] == [
        "a:443", "a:1", "[::1]:443", "[::1]:1", "unix:/a",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("80",), "0.0.0.0:80"), (("*:81", "ssl"), "0.0.0.0:81"), (("127.0.0.1",), "127.0.0.1:80"), (("[::]:80",), "[::]:80"),
        (("[::1]",), "[::1]:80"), (("unix:/run/n.sock",), "unix:/run/n.sock"), (("80", "mystery"), None), (("$port",), None),
    ],
)  # fmt: skip
def test_addresses_to_listen_on_are_read(words: tuple[str, ...], wanted: str | None) -> None:
    found = listen(words)
    assert (found.address if found is not None else None) == wanted


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://$host$request_uri", {"scheme": "https"}),
        ("https://www.a.example:8443/x", {"scheme": "https", "host": "www.a.example", "port": 8443, "path": "/x"}),
        ("$scheme://b.example$request_uri", {"host": "b.example"}), ("/new", {"path": "/new"}), ("https://a.example", {
            "scheme": "https", "host": "a.example", "path": "/"}), ("https://$http_cookie/", None), ("mailto:a", None),
    ],
)  # fmt: skip
def test_redirects_lead_where_they_led(url: str, wanted: dict[str, Any] | None) -> None:
    assert redirect("301", url) == (None if wanted is None else {"status": 301, **wanted})


@pytest.mark.parametrize(
    ("prefix", "uri", "wanted"),
    [
        ("/api/", "/", {"strip_prefix": "/api"}), ("/api", "/", {"strip_prefix": "/api"}), ("/", "/", {}), ("/a/", "/a/", {}),
        ("/a/", "/b/", {"replace_prefix": {"prefix": "/a", "by": "/b"}}), ("/a/", "/b", None), ("/", "/b/", None),
    ],
)  # fmt: skip
def test_uri_in_place_of_a_prefix_is_a_change_in_whole_segments(
    prefix: str, uri: str, wanted: dict[str, Any] | None
) -> None:
    assert stripped(prefix, uri) == wanted


def test_rewrites_that_strip_or_move_are_known() -> None:
    assert rewritten(("^/api/(.*)$", "/$1", "break")) == "/api"
    assert rewritten(("^/api/(.*)$", "/x/$1", "break")) is None
    assert moved(("^/(.*)$", "https://a.example/$1", "permanent")) == ("301", "https://a.example$request_uri")
    assert moved(("^/x", "https://a.example/", "permanent")) is None
