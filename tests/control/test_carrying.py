"""Calls as requests, answers as messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.control.calls import Call
from lbapp.control.carrying import Lines, message, request
from lbapp.model.errors import RequestRefused


def test_call_without_a_body_sends_none() -> None:
    method, url, parts = request(Call("GET", "/v1/status", timeout_s=3.0))
    assert (method, url) == ("GET", "http://lbapp/v1/status")
    assert "content" not in parts
    assert set(parts["extensions"]["timeout"].values()) == {3.0}


def test_query_and_body_carry_any_character() -> None:
    _, url, parts = request(Call("POST", "/v1/servers", {"pool": "a b&c=ä", "limit": 5}, {"reason": "ä"}))
    assert url == "http://lbapp/v1/servers?pool=a%20b%26c%3D%C3%A4&limit=5"
    assert json.loads(parts["content"]) == {"reason": "ä"}
    assert ("Content-Type", "application/json") in parts["headers"]


def test_empty_body_is_sent_as_one() -> None:
    assert request(Call("POST", "/v1/stop", body={}))[2]["content"] == b"{}"


def test_refusal_has_code_sentence_hint_and_problems() -> None:
    problem = {"file": "f.toml", "line": 3, "key": "pool", "message": "no"}
    error = {"code": "invalid", "message": "it is wrong", "hint": "Mend it", "problems": [problem]}
    with pytest.raises(RequestRefused, match=r"it is wrong\. Mend it") as refused:
        message(422, json.dumps({"error": error}).encode())
    assert (refused.value.code, refused.value.status, refused.value.problems[0].line) == ("invalid", 422, 3)


@pytest.mark.parametrize("content", [b"", b"Internal Server Error", b"[]", b'{"error": null}', b"\xff"])
def test_refusal_that_is_no_message_still_says_its_status(content: bytes) -> None:
    with pytest.raises(RequestRefused, match="the engine answered 500"):
        message(500, content)


@given(st.lists(st.dictionaries(st.text(), st.text()), max_size=6), st.integers(1, 40))
def test_lines_are_the_same_however_they_are_cut(sent: list[dict[str, str]], size: int) -> None:
    whole = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in sent)
    lines = Lines()
    found = [line for at in range(0, len(whole), size) for line in lines.take(whole[at : at + size])]
    assert found == sent


def test_line_that_has_not_ended_is_no_line() -> None:
    lines = Lines()
    assert list(lines.take(b'{"a":1}\n\n{"a"')) == [{"a": 1}]
    assert list(lines.take(b":2}")) == []
    assert list(lines.take(b"\n")) == [{"a": 2}]
