"""Header rules on blocks of field lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.wire.rewriting import LineRules, compile_rules
from lbapp.model.actions import HeaderRules

FIELDS = b"Host: h\r\nX-Debug: 1\r\nAccept: */*\r\nx-debug:2\r\nX-Debugger: 3\r\n"


def applied(rules: HeaderRules, fields: bytes = FIELDS) -> bytes:
    return LineRules(rules).apply(fields, lambda name: name.upper().encode())


def test_nothing_to_do_is_nothing() -> None:
    assert compile_rules(HeaderRules()) is None
    assert compile_rules(HeaderRules(remove=("x",))) is not None


def test_removing_takes_every_line_of_the_name_in_any_case_and_no_other() -> None:
    assert applied(HeaderRules(remove=("x-debug",))) == b"Host: h\r\nAccept: */*\r\nX-Debugger: 3\r\n"
    assert applied(HeaderRules(remove=("host", "x-debugger"))) == b"X-Debug: 1\r\nAccept: */*\r\nx-debug:2\r\n"
    assert applied(HeaderRules(remove=("debug", "1", "x-none"))) == FIELDS


def test_setting_replaces_and_adding_adds() -> None:
    assert applied(HeaderRules(set=(("x-debug", "9"),))) == (
        b"Host: h\r\nAccept: */*\r\nX-Debugger: 3\r\nx-debug: 9\r\n"
    )
    assert applied(HeaderRules(add=(("x-debug", "9"),))) == FIELDS + b"x-debug: 9\r\n"


def test_variables_are_filled_in_and_asked_for_once() -> None:
    asked: list[str] = []

    def value_of(name: str) -> bytes:
        asked.append(name)
        return b"v"

    rules = LineRules(HeaderRules(set=(("a", "{host}/{host}"), ("b", "{scheme}-{other}{}")), add=(("c", "{host}"),)))
    assert rules.lines(value_of) == b"a: v/v\r\nb: v-{other}{}\r\nc: v\r\n"
    assert asked == ["host", "scheme"]


@given(st.lists(st.sampled_from([b"A: 1", b"x-b:2", b"X-B: y: x-b: z", b"C:"]), max_size=6))
def test_block_of_whole_lines_stays_one(lines: list[bytes]) -> None:
    block = b"".join(line + b"\r\n" for line in lines)
    kept = b"".join(line + b"\r\n" for line in lines if not line.lower().startswith(b"x-b:"))
    assert applied(HeaderRules(remove=("x-b",)), block) == kept
