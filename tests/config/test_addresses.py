from __future__ import annotations

from collections.abc import Callable

import pytest

from lbapp.config.addresses import (
    destination,
    distant,
    host,
    host_of_no_link,
    interface,
    interface_of,
    ip,
    is_of_link,
    several,
    version_of,
)


@pytest.mark.parametrize(
    ("read", "written", "read_as"),
    [
        (host, "2001:DB8:0::1", "2001:db8::1"),
        (host, "fe80::1%eth0.7", "fe80::1%eth0.7"),
        (host_of_no_link, "fe80::1", "fe80::1"),
        (destination, "127.0.0.1", "127.0.0.1"),
        (distant, "fe80::1", "fe80::1"),
    ],
)
def test_an_address_comes_out_as_python_writes_it(read: Callable[[object], str], written: str, read_as: str) -> None:
    assert read(written) == read_as


@pytest.mark.parametrize(
    ("read", "value", "sentence"),
    [
        (ip, 1, "1 is not an address; names and ports have no place here"),
        (ip, None, "None is not an address"),
        (ip, "192.0.2.1:80", "is not an address; names and ports have no place here"),
        (ip, "fe80::1%a b", "after % the name of an interface is allowed"),
        (ip, "fe80::1%" + "e" * 16, "after % the name of an interface is allowed"),
        (interface, "a b", "'a b' is not the name of an interface"),
        (interface, 7, "7 is not the name of an interface"),
        (host_of_no_link, "fe80::1%eth0", "write the address alone"),
        (destination, "::", "no address that others can send to"),
        (destination, "224.0.0.18", "no address that others can send to"),
        (destination, "fe80::1%eth0", "no address that others can send to"),
        (distant, "::1", "as each has it for itself"),
    ],
)
def test_what_is_no_such_address_is_said_in_one_sentence(
    read: Callable[[object], object], value: object, sentence: str
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as refused:
        read(value)
    assert sentence in str(refused.value)


def test_a_list_has_each_address_once_and_no_more_than_there_may_be() -> None:
    read = several(host, 2)
    assert read(["192.0.2.1", "2001:DB8::1"]) == ("192.0.2.1", "2001:db8::1")
    for value in ("192.0.2.1", [], ["192.0.2.1", "192.0.2.2", "192.0.2.3"], None):
        with pytest.raises(ValueError, match="a list of 1 to 2 addresses, such as"):
            read(value)
    with pytest.raises(ValueError, match=r"2001:db8::1 stands here twice; remove one"):
        read(["2001:db8::1", "2001:DB8:0::1"])


def test_the_version_of_what_is_no_address_is_none() -> None:
    assert [version_of(each) for each in ("192.0.2.1", "192.0.2.1/32", "fe80::1%eth0", "2001:db8::/128")] == [
        4,
        4,
        6,
        6,
    ]
    assert [version_of(each) for each in ("", "host", 4, None)] == [None] * 4


def test_an_address_of_a_link_is_told_from_others_and_its_interface_found() -> None:
    assert [is_of_link(each) for each in ("fe80::1", "fe80::1%eth0", "fd00::1", "169.254.0.1", "x", None)] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert [interface_of(each) for each in ("fe80::1%eth0.7", "fe80::1", None)] == ["eth0.7", "", ""]
