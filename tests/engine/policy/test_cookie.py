"""The cookie that names a server: what it says, and what is not believed."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.cookie import NOTHING, VALUE_LETTERS, CookieReading, ServerCookie, key_mark, set_cookie_lines
from lbapp.model.limits import COOKIES_KEPT_MAX
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType, PersistenceVerdict

KEY = PersistenceKey("one", b"0123456789abcdef")
NEXT = PersistenceKey("two", b"fedcba9876543210")
SETTINGS = Persistence(PersistenceType.COOKIE, keys=(KEY,))
SERVERS = {"app/s1": 0, "app/s2": 1}
NOW = 1_800_000_000.0
HOUR = 3600.0


def cookie(*keys: PersistenceKey, pool: str = "app", servers: dict[str, int] | None = None) -> ServerCookie:
    return ServerCookie(pool, replace(SETTINGS, keys=keys or (KEY,)), SERVERS if servers is None else servers)


def verdict(value: bytes, now_s: float = NOW, by: ServerCookie | None = None) -> PersistenceVerdict:
    return (by or cookie()).read(value, now_s).verdict


def test_what_was_written_is_read_with_its_server_and_times() -> None:
    value = cookie().write(1, NOW, NOW - HOUR)
    assert cookie().read(value, NOW + 60) == CookieReading(
        PersistenceVerdict.VALID, 1, first_seen_s=int(NOW - HOUR), issued_s=int(NOW)
    )


@given(st.binary(min_size=16, max_size=200))
def test_the_signature_is_an_hmac_sha256(secret: bytes) -> None:
    data = urlsafe_b64decode(cookie(PersistenceKey("k", secret)).write(0, NOW, NOW))
    assert data[18:] == hmac.digest(secret, b"lbapp\napp\nlbapp_server\n" + data[:18], "sha256")[:15]


def test_values_are_the_same_on_every_node_and_in_any_order_of_servers() -> None:
    other = cookie(servers={"app/s2": 7, "app/s1": 4})
    assert other.write(4, NOW, NOW) == cookie().write(0, NOW, NOW)
    assert other.read(cookie().write(1, NOW, NOW), NOW).server == 7


@given(st.integers(0, 1), st.floats(0, 2**33), st.floats(0, 2**33))
def test_values_are_all_of_one_length(server: int, issued_s: float, first_seen_s: float) -> None:
    assert len(cookie().write(server, issued_s, first_seen_s)) == VALUE_LETTERS


@given(st.integers(0, 32), st.integers(1, 255))
def test_a_value_with_any_byte_changed_is_not_believed(at: int, change: int) -> None:
    data = bytearray(urlsafe_b64decode(cookie().write(0, NOW, NOW)))
    data[at] ^= change
    assert verdict(urlsafe_b64encode(bytes(data))) is PersistenceVerdict.INVALID


@given(st.binary(max_size=80))
def test_any_bytes_get_a_verdict_and_are_not_believed(value: bytes) -> None:
    assert verdict(value) is PersistenceVerdict.INVALID


@pytest.mark.parametrize(
    "value", [b"!" * VALUE_LETTERS, b"A" * 43 + b"=", b"\xff" * VALUE_LETTERS, b"=" * VALUE_LETTERS]
)
def test_values_of_the_right_length_that_are_no_base64_are_not_believed(value: bytes) -> None:
    assert verdict(value) is PersistenceVerdict.INVALID


def test_a_cookie_of_another_pool_or_of_another_name_is_not_believed() -> None:
    other_name = ServerCookie("app", replace(SETTINGS, cookie="other"), SERVERS)
    assert verdict(cookie(pool="api").write(0, NOW, NOW)) is PersistenceVerdict.INVALID
    assert verdict(other_name.write(0, NOW, NOW)) is PersistenceVerdict.INVALID


def test_times_decide_idle_life_and_future() -> None:
    value = cookie().write(0, NOW, NOW)
    assert verdict(value, NOW + HOUR) is PersistenceVerdict.VALID
    assert verdict(value, NOW + HOUR + 1) is PersistenceVerdict.EXPIRED
    assert verdict(cookie().write(0, NOW, NOW - 8 * HOUR - 1)) is PersistenceVerdict.TOO_OLD
    assert verdict(value, NOW - 24 * HOUR) is PersistenceVerdict.VALID
    assert verdict(value, NOW - 24 * HOUR - 1) is PersistenceVerdict.INVALID


def test_a_server_that_left_the_pool_is_gone() -> None:
    assert verdict(cookie().write(0, NOW, NOW), by=cookie(servers={"app/s2": 0})) is PersistenceVerdict.SERVER_GONE


def test_keys_rotate_the_first_signs_all_are_accepted_and_a_key_taken_out_is_not() -> None:
    old, both, new = cookie(KEY), cookie(NEXT, KEY), cookie(NEXT)
    value = old.write(0, NOW, NOW)
    assert verdict(value, by=both) is PersistenceVerdict.VALID
    assert both.is_to_be_renewed(both.read(value, NOW), NOW)
    renewed = both.write(0, NOW, NOW)
    assert not both.is_to_be_renewed(both.read(renewed, NOW), NOW)
    assert verdict(renewed, by=new) is PersistenceVerdict.VALID
    assert verdict(value, by=new) is PersistenceVerdict.INVALID


def test_a_value_is_renewed_after_an_eighth_of_its_ttl() -> None:
    value = cookie().write(0, NOW, NOW)
    assert not cookie().is_to_be_renewed(cookie().read(value, NOW), NOW + HOUR / 8 - 1)
    assert cookie().is_to_be_renewed(cookie().read(value, NOW), NOW + HOUR / 8)


def test_without_a_key_there_is_no_cookie() -> None:
    with pytest.raises(ValueError, match="key"):
        ServerCookie("app", replace(SETTINGS, keys=()), SERVERS)


def test_lines_carry_the_attributes_that_are_wanted() -> None:
    assert set_cookie_lines(SETTINGS, b"v", secure=True) == (
        b"Set-Cookie: lbapp_server=v; Path=/; HttpOnly; SameSite=Lax; Secure\r\nCache-Control: private\r\n"
    )
    bare = replace(SETTINGS, http_only=False, same_site="Strict", nocache=False, cookie="c")
    assert set_cookie_lines(bare, b"v", secure=False) == b"Set-Cookie: c=v; Path=/; SameSite=Strict\r\n"


def test_key_marks_differ_and_no_secret_is_shown() -> None:
    assert key_mark("one") != key_mark("two")
    assert "0123" not in repr(SETTINGS)
    assert NOTHING.server is None


def test_what_is_kept_of_good_values_is_bounded_and_never_outlives_its_time() -> None:
    kept = cookie()
    value = kept.write(0, NOW, NOW)
    for at in range(COOKIES_KEPT_MAX + 10):
        assert verdict(kept.write(1, NOW - at % 1000, NOW - at), by=kept) is PersistenceVerdict.VALID
        assert verdict(b"x" * VALUE_LETTERS, by=kept) is PersistenceVerdict.INVALID
    assert verdict(value, by=kept) is PersistenceVerdict.VALID
    assert kept.read(value, NOW + HOUR + 1).verdict is PersistenceVerdict.EXPIRED
    assert len(vars(kept)["_signed"]) <= COOKIES_KEPT_MAX
    assert len(vars(kept)["_written"]) <= COOKIES_KEPT_MAX
