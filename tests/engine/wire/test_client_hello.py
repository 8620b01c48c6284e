"""The first message of TLS: real ones, cut ones, damaged ones."""

from __future__ import annotations

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.wire.client_hello import BadClientHello, ClientHello, parse_client_hello
from lbapp.model.limits import CLIENT_HELLO_BYTES_MAX


def real_hello(name: str | None = "app.test", version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """Return the hello that OpenSSL sends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def extension(kind: int, body: bytes) -> bytes:
    return struct.pack("!H", kind) + vector(2, body)


def server_names(*names: bytes, kind: int = 0) -> bytes:
    return extension(0, vector(2, b"".join(bytes([kind]) + vector(2, name) for name in names)))


def message(extensions: bytes | None, *, behind: bytes = b"") -> bytes:
    body = b"\x03\x03" + bytes(32) + vector(1, b"session") + vector(2, b"\x13\x01") + vector(1, b"\0")
    if extensions is not None:
        body += vector(2, extensions)
    body += behind
    return b"\x01" + vector(3, body)


def records(whole: bytes, size: int = 1 << 14) -> bytes:
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, part) for part in parts)


ALPN = extension(16, vector(2, vector(1, b"h2") + vector(1, b"http/1.1")))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_real_hello_tells_name_and_protocols(version: ssl.TLSVersion) -> None:
    hello = parse_client_hello(real_hello("App.Test", version))
    assert hello == ClientHello("app.test", (b"h2", b"http/1.1"))


def test_hello_without_a_name_or_without_extensions_asks_for_nobody() -> None:
    found = parse_client_hello(real_hello(None))
    assert found is not None
    assert found.server_name is None
    assert parse_client_hello(records(message(None))) == ClientHello(None, ())
    assert parse_client_hello(records(message(b""))) == ClientHello(None, ())


def test_every_beginning_of_a_hello_asks_for_more_and_the_whole_of_it_does_not() -> None:
    whole = real_hello()
    assert all(parse_client_hello(whole[:end]) is None for end in range(len(whole)))
    assert parse_client_hello(whole) is not None


@given(st.integers(1, 400), st.binary(max_size=50))
def test_hello_in_any_number_of_records_is_the_same(size: int, behind: bytes) -> None:
    whole = message(server_names(b"app.test") + ALPN)
    expected = ClientHello("app.test", (b"h2", b"http/1.1"))
    assert parse_client_hello(records(whole, size) + behind) == expected


def test_what_stands_behind_the_hello_in_its_record_is_not_looked_at() -> None:
    whole = message(server_names(b"app.test"))
    assert parse_client_hello(records(whole + b"\x0b\xff")) == ClientHello("app.test", ())
    cut = b"\x16\x03\x01" + struct.pack("!H", len(whole) + 100) + whole  # the record is not whole, the hello is
    assert parse_client_hello(cut) == ClientHello("app.test", ())


def test_names_of_other_kinds_are_passed_over() -> None:
    body = b"\x07" + vector(2, b"whatever") + b"\0" + vector(2, b"app.test.")
    assert parse_client_hello(records(message(extension(0, vector(2, body))))) == ClientHello("app.test", ())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x15\x03\x01\0\x02\x01\0",
        b"\x16\x02",
        b"\x16\x03\x01\0\0",
        b"\x16\x03\x01\x40\x01",
        records(b"\x02" + vector(3, b"x")),
        records(b"\x01\xff\xff\xff"),
        records(b"\x01\0\0\0"),
        records(message(server_names(b"a.test", b"b.test"))),
        records(message(server_names(b"a.test") + server_names(b"a.test"))),
        records(message(server_names())),
        records(message(server_names(b"a.test", kind=3))),
        records(message(server_names(b"a test"))),
        records(message(server_names(b"a\0.test"))),
        records(message(server_names(b"a..test"))),
        records(message(server_names(b""))),
        records(message(server_names(b"a." * 127 + b"test"))),
        records(message(server_names(b"x" * 64 + b".test"))),
        records(message(extension(0, vector(2, b"") + b"x"))),
        records(message(extension(16, vector(2, b"\x09h2")))),
        records(message(extension(16, vector(2, b"") + b"x"))),
        records(message(b"\0\0\0")),
        records(message(b"", behind=b"x")),
        b"\x16\x03\x01\0\x01\x01" + b"\x16\x03\x01\0\x01\xff" * 3 + b"\x00",
        b"\x16\x03\x01\0\x01\x01" * 2 + b"\x17",
    ],
)
def test_what_is_no_hello_is_refused(data: bytes) -> None:
    with pytest.raises(BadClientHello):
        parse_client_hello(data)


def test_hello_that_never_ends_is_refused() -> None:
    whole = b"\x01" + (CLIENT_HELLO_BYTES_MAX - 8).to_bytes(3, "big") + bytes(CLIENT_HELLO_BYTES_MAX)
    many = records(whole, 2)[:CLIENT_HELLO_BYTES_MAX]
    assert parse_client_hello(many[:-1]) is None
    with pytest.raises(BadClientHello):
        parse_client_hello(many)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    try:
        parse_client_hello(data)
    except BadClientHello:
        return


@given(st.data())
def test_damaged_hello_has_an_answer_and_never_a_name_of_other_bytes(data: st.DataObject) -> None:
    whole = bytearray(real_hello())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        hello = parse_client_hello(bytes(whole))
    except BadClientHello:
        return
    assert hello is None or hello.server_name is None or hello.server_name.encode() in bytes(whole).lower()
