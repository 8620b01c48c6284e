from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster import gateway
from lbapp.cluster.gateway import Event, Message, Nonsense

_NAMES = ["header", "kvs", "key", "value", "revision", "result", "events", "kv", "type", "canceled", "TTL", "responses"]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(_NAMES) | st.text(), each, max_size=5),
)


def test_a_range_of_a_prefix_ends_behind_its_last_key() -> None:
    assert gateway.after(b"/a/") == b"/a0"


def test_what_is_left_out_is_nought() -> None:
    assert gateway.found({"header": {"revision": "2"}}) == gateway.Found(2)
    assert not gateway.committed({"header": {"revision": "2"}}).has_held
    assert gateway.message(b'{"result":{}}') == Message(0)


def test_deletions_and_writes_are_told_apart() -> None:
    kv = {"key": "YQ==", "mod_revision": "5", "lease": "9"}
    line = {"result": {"header": {"revision": "5"}, "events": [{"kv": kv}, {"type": "DELETE", "kv": kv}]}}
    assert gateway.message(json.dumps(line).encode()).events == (Event(b"a", b"", 5, 9), Event(b"a", None, 5, 9))


@given(st.binary())
def test_bytes_are_json_objects_or_nonsense(data: bytes) -> None:
    try:
        assert isinstance(gateway.read_json(data), dict)
    except Nonsense:
        return


@given(ANY_JSON)
def test_whatever_json_comes_is_an_answer_or_nonsense(value: object) -> None:
    answer = value if isinstance(value, dict) else {"result": value, "kvs": value, "header": value}
    readers = (gateway.found, gateway.committed, gateway.revision_of, gateway.inner, gateway.token_of)
    for read in (*readers, lambda each: gateway.number_of(each, "TTL")):
        try:
            read(answer)
        except Nonsense:
            continue
    assert "\n" not in gateway.problem_of(answer)
    line = json.dumps(answer).encode()
    try:
        gateway.message(line)
    except Nonsense:
        return


@given(st.binary(), st.binary(), st.integers(0, 2**63 - 1))
def test_keys_and_values_come_back_as_they_went(key: bytes, value: bytes, revision: int) -> None:
    put = gateway.put(key, value, 7)
    answer = {"header": {}, "kvs": [{**put, "mod_revision": str(revision)}], "count": "1"}
    assert gateway.found(answer).pairs == (gateway.Pair(key, value, revision, 7),)
    assert base64.b64decode(put["key"]) == key


@pytest.mark.parametrize("number", ["1" * 30, "-", "", "1.5", 1.0, True, [], "٣", 2**63])
def test_what_is_no_64_bit_number_is_nonsense(number: object) -> None:
    with pytest.raises(Nonsense):
        gateway.number_of({"TTL": number}, "TTL")
