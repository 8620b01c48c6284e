"""Amounts of other load balancers in lbapp's words."""

from __future__ import annotations

import pytest

from lbapp.config.values import duration_s, size_bytes
from lbapp.migrate.amounts import below, duration, name, nginx_bytes, nginx_seconds, seconds, size


@pytest.mark.parametrize(
    ("text", "wanted"), [("5s", 5.0), ("5000", 5.0), ("2m", 120.0), ("1d", 86400.0), ("x", None), ("", None)]
)
def test_times_of_haproxy_are_in_milliseconds_without_a_unit(text: str, wanted: float | None) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"), [("60", 60.0), ("1m30s", 90.0), ("500ms", 0.5), ("1h 5m", 3900.0), ("off", None), ("", None)]
)
def test_times_of_nginx_are_in_seconds_without_a_unit(text: str, wanted: float | None) -> None:
    assert nginx_seconds(text) == wanted


@pytest.mark.parametrize(("text", "wanted"), [("10m", 10 << 20), ("8K", 8192), ("0", 0), ("1g", 1 << 30), ("x", None)])
def test_sizes_of_nginx_are_in_bytes_without_a_unit(text: str, wanted: int | None) -> None:
    assert nginx_bytes(text) == wanted


@pytest.mark.parametrize("amount", [0.001, 0.25, 1.0, 90.5, 3600.0, 2_592_000.0])
def test_times_are_written_as_lbapp_reads_them(amount: float) -> None:
    assert duration_s(duration(amount)) == pytest.approx(amount)


@pytest.mark.parametrize("amount", [0, 1, 1000, 1024, 10 << 20, 1 << 30])
def test_sizes_are_written_as_lbapp_reads_them(amount: int) -> None:
    assert size_bytes(size(amount)) == amount


def test_names_and_files_are_such_as_lbapp_takes() -> None:
    assert [name("a b/c"), name("_x"), name("")] == ["a-b-c", "x", "x"]
    assert [below("/base", "a.pem"), below("/base", "/a.pem"), below("", "a.pem")] == ["/base/a.pem", "/a.pem", "a.pem"]
