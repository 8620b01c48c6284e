"""Names that certificates and routes stand for."""

from __future__ import annotations

import pytest

from lbapp.engine.policy.server_names import CertificateNames, RouteNames

CERTIFICATES = CertificateNames(
    [(["app.test", "*.app.test"], "app"), (["www.app.test", "*.deep.app.test"], "www"), (["app.test"], "late")]
)
ROUTES = RouteNames([("a.test", 1), ("*.test", 2), ("b.test", 3), ("*.b.test", 4)])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("app.test", "app"),
        ("APP.Test.", "app"),
        ("other.app.test", "app"),
        ("www.app.test", "www"),
        ("x.deep.app.test", "www"),
        ("a.b.app.test", None),
        ("*.app.test", "app"),
        ("test", None),
        ("", None),
    ],
)
def test_wildcard_of_a_certificate_stands_for_one_label(name: str, found: str | None) -> None:
    assert CERTIFICATES.find(name) == found


@pytest.mark.parametrize(
    ("name", "found"), [("a.test", 1), ("b.test", 2), ("x.y.test", 2), ("A.TEST.", 1), (".test", None), ("test", None)]
)
def test_first_route_that_takes_a_name_decides(name: str, found: int | None) -> None:
    assert ROUTES.find(name) == found
