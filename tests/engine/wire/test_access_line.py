"""Lines of the access log, whatever the network said."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.wire.access_line import LINE_OF, combined_line, httplog_line, json_line, json_target, text_of
from lbapp.model.access_log import LogFormat
from lbapp.model.exchange_record import ExchangeRecord
from lbapp.model.limits import LOG_TARGET_BYTES_MAX
from lbapp.model.outcomes import Outcome, Phase
from lbapp.model.persistence import PersistenceVerdict

AT_S = 1_796_000_000.123456
Anything = st.binary(max_size=80)


def record(**changes: object) -> ExchangeRecord:
    values: dict[str, object] = {
        "method": b"GET", "host": b"example.com", "target": b"/a?b=c", "status": 200, "pool": "app", "server": "app/s1",
        "bytes_in": 120, "bytes_out": 340, "queue_us": 0, "connect_us": 250, "first_byte_us": 3400, "total_us": 5600,
        "attempts": 2, "connections": 7,
    }  # fmt: skip
    return ExchangeRecord(AT_S, "192.0.2.1", 40000, "web", **{**values, **changes})  # type: ignore[arg-type]


def test_json_says_everything_under_its_name() -> None:
    line = json.loads(json_line(record()))
    assert line == {
        "time": line["time"],
        "client": "192.0.2.1", "port": 40000, "listener": "web", "method": "GET", "host": "example.com", "target": "/a?b=c",
        "version": "1.1", "status": 200, "pool": "app", "server": "app/s1", "bytes_in": 120, "bytes_out": 340, "queue_us": 0,
        "connect_us": 250, "first_byte_us": 3400, "total_us": 5600, "attempts": 2, "persistence": None,
        "outcome": "completed", "ended_by": None, "phase": None,
    }  # fmt: skip
    assert datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() == pytest.approx(AT_S, abs=1e-3)


def test_json_of_what_was_ended_says_by_whom_and_when() -> None:
    ended = record(
        outcome=Outcome.CLIENT_GONE,
        phase=Phase.BODY,
        verdict=PersistenceVerdict.NONE,
        given=PersistenceVerdict.INSERTED,
    )
    line = json.loads(json_line(ended))
    assert (line["outcome"], line["ended_by"], line["phase"]) == ("client_gone", "client", "body")
    assert line["persistence"] == ["none", "inserted"]


def test_json_of_a_tcp_connection_has_no_request() -> None:
    line = json.loads(json_line(ExchangeRecord(AT_S, "unix:", 0, "db", pool="db", connect_us=-1)))
    assert [line[key] for key in ("port", "method", "host", "target", "version", "status", "server", "connect_us")] == [
        None
    ] * 8


def test_combined_is_what_web_servers_write() -> None:
    told = record(headers=(("referer", b"http://x/"), ("user-agent", b'curl/8 "q"')))
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(AT_S))
    assert combined_line(told) == (
        f'192.0.2.1 - - [{at}] "GET /a?b=c HTTP/1.1" 200 340 "http://x/" "curl/8 \\x22q\\x22"\n'
    )


def test_httplog_is_what_haproxy_writes() -> None:
    at = time.strftime("%d/%b/%Y:%H:%M:%S", time.gmtime(AT_S))
    assert httplog_line(record()) == (
        f'192.0.2.1:40000 [{at}.123] web app/s1 0/0/0/3/5 200 340 - - ---- 7/7/7/7/1 0/0 "GET /a?b=c HTTP/1.1"\n'
    )
    gone = record(
        outcome=Outcome.QUEUE_TIMEOUT, phase=Phase.QUEUE, server="", connect_us=-1, first_byte_us=-1, status=503
    )
    assert " web app/<NOSRV> 0/0/-1/-1/5 503 340 - - sQ-- " in httplog_line(gone)
    known = record(verdict=PersistenceVerdict.EXPIRED, given=PersistenceVerdict.INSERTED)
    assert " --EI " in httplog_line(known)


@given(Anything, Anything, Anything, Anything, st.sampled_from(Outcome), st.sampled_from(LogFormat))
def test_nothing_that_was_sent_can_forge_a_line_or_a_terminal_sequence(
    method: bytes, host: bytes, target: bytes, header: bytes, outcome: Outcome, format_: LogFormat
) -> None:
    told = record(
        method=b"M" + method, host=host, target=target, outcome=outcome, phase=Phase.BODY,
        headers=(("user-agent", header), ("referer", header)),
    )  # fmt: skip
    line = LINE_OF[format_](told)
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    if format_ is LogFormat.JSON:
        assert json.loads(line)["outcome"] == outcome.name.lower()
    else:
        assert len(re.findall('"', line)) == {LogFormat.COMBINED: 6, LogFormat.HTTPLOG: 2}[format_]


@given(st.binary(max_size=40))
def test_target_in_json_is_what_was_sent(target: bytes) -> None:
    shown = json.loads(json_target(target))
    if target.isascii():
        assert shown == target.decode()


def test_what_is_long_is_cut_and_shows_it() -> None:
    long = b"/" + 65535 * b"a"
    for line_of in LINE_OF.values():
        line = line_of(record(target=long))
        assert "aaa..." in line
        assert len(line) < LOG_TARGET_BYTES_MAX + 700
    assert text_of(b"\xff\n", 9) == "\\xff\\x0a"
