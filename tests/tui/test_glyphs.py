from __future__ import annotations

import pytest

from lbapp.control.messages import AdminWord, HealthWord
from lbapp.tui.glyphs import ASCII, FULL, LINUX_CONSOLE, Glyphs, glyphs_named, sparkline, state_of
from lbapp.tui.staging import server_row
from tests.tui.engine_double import drain, server

NOW = 1_700_000_100.0


@pytest.mark.parametrize(
    ("admin", "health", "text"),
    [
        ("ready", "up", "▲ UP"),
        ("ready", "down", "▼ DOWN"),
        ("ready", "unknown", "· UNKNOWN"),
        ("maint", "down", "■ MAINT"),
        ("drain", "down", "▶ DRAIN"),
    ],
)
def test_state_is_symbol_and_word_and_the_operators_wish_stands_first(
    admin: AdminWord, health: HealthWord, text: str
) -> None:
    one = server("app", "s1")
    one["admin"], one["health"] = admin, health
    assert state_of(server_row(one, NOW), FULL, NOW)[0] == text


def test_drain_tells_its_time_left_and_an_overdue_one_is_bad() -> None:
    one = server("app", "s1")
    one["admin"], one["drain"] = "drain", drain(remaining_s=161, in_flight=1)
    assert state_of(server_row(one, NOW), FULL, NOW) == ("▶ DRAIN 2m41s", "warn")
    one["drain"] = drain(phase="overdue", in_flight=1)
    assert state_of(server_row(one, NOW), FULL, NOW) == ("! OVERDUE", "bad")


def test_server_that_asks_for_no_new_clients_and_one_that_asks_for_nobody_have_words_of_their_own() -> None:
    one = server("app", "s1")
    one["no_new_clients"] = "its agent says drain"
    assert state_of(server_row(one, NOW), FULL, NOW) == ("▶ NO NEW", "warn")
    one["no_new_clients"], one["is_for_nobody"] = "its agent says maint", True
    assert state_of(server_row(one, NOW), FULL, NOW) == ("■ NOBODY", "warn")
    one["admin"] = "maint"
    assert state_of(server_row(one, NOW), FULL, NOW) == ("■ MAINT", "calm"), "the operator's wish stands first"


def test_linux_console_gets_only_what_its_font_has() -> None:
    assert glyphs_named(None, {"TERM": "linux"}) is LINUX_CONSOLE
    assert glyphs_named(None, {"TERM": "xterm-256color"}) is FULL
    every = "".join(getattr(LINUX_CONSOLE, name) for name in LINUX_CONSOLE.__slots__)
    assert set(every) <= {*"▲▼▶■·░▒█↑↓←→─", *map(chr, range(32, 127))}


def test_terminal_without_utf8_gets_ascii_and_a_named_set_stands_before_what_a_terminal_is() -> None:
    assert glyphs_named(None, {"LC_ALL": "C", "LANG": "de_DE.UTF-8"}) is ASCII
    assert glyphs_named(None, {"LANG": "de_DE.ISO-8859-1"}) is ASCII
    assert glyphs_named(None, {"LC_CTYPE": "C.UTF-8", "LANG": "C"}) is FULL
    assert glyphs_named("vt", {"LC_ALL": "C"}) is LINUX_CONSOLE
    assert "".join(getattr(ASCII, name) for name in ASCII.__slots__).isascii()


@pytest.mark.parametrize("glyphs", [FULL, LINUX_CONSOLE, ASCII])
def test_no_two_states_share_a_symbol_in_any_set(glyphs: Glyphs) -> None:
    symbols = [
        glyphs.up,
        glyphs.down,
        glyphs.drain,
        glyphs.maint,
        glyphs.unknown,
        glyphs.over,
        glyphs.rising,
        glyphs.falling,
    ]
    assert len(set(symbols)) == len(symbols)


def test_sparkline_is_right_aligned_and_its_highest_is_full() -> None:
    assert sparkline([0, 5, 10], 5, FULL) == "  ▁▅█"
    assert sparkline([], 3, FULL) == "   "
    assert sparkline([0, 0], 2, FULL) == "▁▁"


def test_server_on_its_way_to_the_other_health_tells_how_far_it_is() -> None:
    row = server_row(server("app", "s1"), NOW)
    row.rise, row.fall, row.streak, row.is_last_good = 2, 3, 2, False
    assert state_of(row, FULL, NOW) == ("↓ UP 2/3", "warn")
    row.health, row.streak, row.is_last_good = "down", 1, True
    assert state_of(row, FULL, NOW) == ("↑ DOWN 1/2", "bad")
    row.is_last_good = False
    assert state_of(row, FULL, NOW) == ("▼ DOWN", "bad")
