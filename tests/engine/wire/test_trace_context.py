"""Values of traceparent, by the words of W3C Trace Context Level 1."""

from __future__ import annotations

import os
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.wire.trace_context import is_request_id, new_ids, parse_traceparent

TRACE, PARENT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
SOUND = b"00-%b-%b-01" % (TRACE, PARENT)


@pytest.mark.parametrize("value", [SOUND, SOUND[:-2] + b"00", SOUND[:-2] + b"ff"])
def test_sound_value_goes_on_as_it_came(value: bytes) -> None:
    assert parse_traceparent(value) == (TRACE, value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        SOUND[:-1],
        SOUND + b"0",
        SOUND + b"-more",  # version 00 has no more
        SOUND.upper(),
        SOUND.replace(TRACE, b"0" * 32),
        SOUND.replace(PARENT, b"0" * 16),
        b"ff" + SOUND[2:],
        b"0g" + SOUND[2:],
        SOUND.replace(b"-", b"_"),
        b" " + SOUND,
        SOUND + b"\n",
        b"01" + SOUND[2:] + b"more",
        SOUND[:-2] + b"+1",
    ],
)
def test_malformed_value_is_none(value: bytes) -> None:
    assert parse_traceparent(value) is None


@pytest.mark.parametrize(
    ("more", "flags"), [(b"01", b"01"), (b"03", b"01"), (b"fe-what-ever", b"00"), (b"01-", b"01"), (b"00", b"00")]
)
def test_later_version_goes_on_as_version_00_with_the_flag_that_it_has(more: bytes, flags: bytes) -> None:
    assert parse_traceparent(b"cc" + SOUND[2:-2] + more) == (TRACE, SOUND[:-2] + flags)


def test_new_ones_are_sound_and_never_the_same() -> None:
    made = list(islice(new_ids(os.urandom), 600))
    for request_id, trace_id, traceparent in made:
        assert is_request_id(request_id.encode())
        assert parse_traceparent(traceparent.encode()) == (trace_id.encode(), traceparent.encode())
        assert traceparent.endswith("-00")
    assert len({each for ids in made for each in ids}) == 3 * len(made)


@pytest.mark.parametrize("zeros", [slice(16, 32), slice(32, 40)])
def test_id_of_zeros_which_is_malformed_is_never_made(zeros: slice) -> None:
    block = bytearray(bytes([17]) * 40)
    block[zeros] = bytes(zeros.stop - zeros.start)
    first = [bytes(block)]

    def random_bytes(count: int) -> bytes:
        return (first.pop() if first else bytes([34]) * 40) * (count // 40)

    assert next(new_ids(random_bytes)) == ("22" * 16, "22" * 16, f"00-{'22' * 16}-{'22' * 8}-00")


@given(st.binary(max_size=70))
def test_whatever_goes_on_is_sound_and_plain(value: bytes) -> None:
    goes_on = parse_traceparent(value)
    if goes_on is not None:
        assert parse_traceparent(goes_on.value) == goes_on
        assert len(goes_on.value) == 55
    if is_request_id(value):
        assert value.decode("ascii").isprintable()
        assert not set(value) & set(b'"\\ \t')


def test_request_id_is_short_and_of_plain_letters() -> None:
    assert all(map(is_request_id, (b"a", b"f" * 128, b"8c1f:7+x/=@~_.-")))
    assert not any(map(is_request_id, (b"", b"f" * 129, b"a b", b'a"', b"a\\", b"\xe4", b"a\r\nb", b"<b>")))
