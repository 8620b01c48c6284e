"""Single values: what is read, and the sentence for what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from lbapp.config import values
from lbapp.model.entities import AlgorithmName, Bind, Protocol

WEIGHT = values.whole_number(0, 256)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (values.duration_s, "250ms", 0.25),
        (values.duration_s, "1.5s", 1.5),
        (values.duration_s, "5m", 300.0),
        (values.duration_s, "1h", 3600.0),
        (values.duration_s, "0s", 0.0),
        (values.size_bytes, "512B", 512),
        (values.size_bytes, "64KiB", 65536),
        (values.size_bytes, "10GiB", 10 * 1024**3),
        (values.size_bytes, 0, 0),
        (values.size_bytes, "0", 0),
        (values.head_size_bytes, "1MiB", 1024**2),
        (WEIGHT, 256, 256),
        (values.word_of(Protocol), "tcp", Protocol.TCP),
        (values.host_and_port, "127.0.0.1:1", ("127.0.0.1", 1)),
        (values.host_and_port, "[0:0::1]:65535", ("::1", 65535)),
        (values.host_and_port, "[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        (values.host_and_port, "a_b.example.com:80", ("a_b.example.com", 80)),
        (values.host_and_port, "a" * 63 + ".de:80", ("a" * 63 + ".de", 80)),
        (values.bind, "0.0.0.0:0", Bind("0.0.0.0", 0)),
        (values.bind, "unix:/run/a.sock", Bind(path="/run/a.sock")),
        (values.binds, "[::]:80", [Bind("::", 80)]),
        (values.binds, ["[::]:80", "a:1"], [Bind("::", 80), Bind("a", 1)]),
        (values.route_host, "*.Example.com", "*.example.com"),
        (values.route_host, "[::1]", "[::1]"),
        (values.route_headers, {"X-A": "1", "y": ""}, {"x-a": "1", "y": ""}),
        (values.path_prefix, "/v1/", "/v1/"),
        (values.name, "a" * 63, "a" * 63),
    ],
)
def test_value_is_read(read: Callable[[object], object], value: object, expected: object) -> None:
    assert read(value) == expected


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (values.duration_s, 5, "5 is not a duration; write a number and a unit"),
        (values.duration_s, "5", "'5' is not a duration; "),
        (values.duration_s, "1h30m", "'1h30m' is not a duration; "),
        (values.duration_s, "-5s", "'-5s' is not a duration; "),
        (values.duration_s, "\u0665s", "'\u0665s' is not a duration; "),
        (values.duration_s, "8761h", "'8761h' is too long; allowed: at most \"8760h\""),
        (values.positive_duration_s, "0ms", "'0ms' is no time at all; allowed: more than 0"),
        (values.size_bytes, "64KB", "'64KB' is not a size; write a number and a unit of 1024"),
        (values.size_bytes, 64, "64 is not a size; "),
        (values.size_bytes, False, "false is not a size; "),
        (values.head_size_bytes, "0", '\'0\' is out of range; allowed: "256B" to "1MiB"'),
        (WEIGHT, 999, "999 is too large; allowed: 0 to 256"),
        (WEIGHT, -1, "-1 is too small; allowed: 0 to 256"),
        pytest.param(WEIGHT, 10**5000, "a number this long is too large; allowed: 0 to 256", id="long"),
        (WEIGHT, 1.0, "1.0 is not accepted; allowed: a whole number, 0 to 256"),
        (WEIGHT, True, "true is not accepted; allowed: a whole number, 0 to 256"),
        (WEIGHT, date(2026, 1, 2), "2026-01-02 is not accepted; "),
        (values.word_of(Protocol), "udp", "'udp' is not known; allowed: 'http' or 'tcp'"),
        pytest.param(values.word_of(AlgorithmName), 10**5000, "a number this long is not known; ", id="long word"),
        (values.word_of(Protocol), ["tcp"], "a list is not known; allowed: 'http' or 'tcp'"),
        (values.name, "my app", "'my app' is not accepted; allowed: 1 to 63 letters, digits,"),
        (values.name, "-a", "'-a' is not accepted; "),
        (values.name, "a" * 64, "'" + "a" * 55 + "...' is not accepted; "),
        (values.name, "a\n", "'a\\n' is not accepted; "),
        (values.host_and_port, "localhost", "'localhost' is not an address; "),
        (values.host_and_port, "a:65536", "'a:65536' is not an address; "),
        (values.host_and_port, "::1:80", "'::1:80' is not an address; "),
        (values.host_and_port, "300.1.1.1:80", "'300.1.1.1:80' is not an address; "),
        (values.host_and_port, "[::1%a\n]:80", "'[::1%a\\n]:80' is not an address; "),
        (values.host_and_port, "a..b:80", "'a..b:80' is not an address; "),
        (values.host_and_port, "a" * 64 + ":80", "'" + "a" * 55 + "...' is not an address; "),
        (values.host_and_port, ".".join(["a" * 50] * 5) + ":80", "'" + "a" * 50 + ".aaaa...' is not an address; "),
        (values.host_and_port, "http://a:80", "'http://a:80' is not an address; "),
        (values.bind, ":80", '\':80\' is not an address; write "host:port" or "[IPv6]:port", with a port from 0'),
        (values.bind, "unix:run/a", "'unix:run/a' is not a Unix socket; "),
        (values.bind, "unix:/\0", "'unix:/\\x00' is not a Unix socket; "),
        (values.binds, [], "the list is empty; allowed: one address or more"),
        (values.socket_path, "/" + "a" * 107, "'/" + "a" * 54 + "...' is too long for a Unix socket; "),
        (values.file_path, "var", "'var' is not accepted; allowed: an absolute path"),
        (values.route_host, "a.com:80", "'a.com:80' is not accepted; allowed: a host without port"),
        (values.route_host, "ä" * 100 + ".de", "'" + "ä" * 55 + "...' is not accepted; "),
        (values.route_headers, {"a b": "1"}, "'a b' is not accepted; allowed: header names"),
        (values.route_headers, {"a": "1", "A": "2"}, "'A' is not accepted; allowed: header names, each once"),
        (values.route_headers, {"a": 1}, "1 is not accepted for a; allowed: text on one line"),
        (values.path_prefix, "v1", "'v1' is not accepted; allowed: a path from its slash on"),
        (values.method, "get", "'get' is not accepted; allowed: a method in capitals"),
    ],
)
def test_refused_value_gets_one_sentence(read: Callable[[object], object], value: object, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(value)
    sentence = str(caught.value)
    assert sentence.startswith(expected)
    assert sentence.isprintable()
    assert len(sentence) < 250


@pytest.mark.parametrize(
    ("word", "end"),
    [
        ("iphash", "'first' or 'prequal'; did you mean 'ip_hash'?"),
        ("zz", "'first' or 'prequal'"),
        ("h" * 61, "'prequal'"),
    ],
)
def test_one_of_many_words_is_suggested_if_it_is_near(word: str, end: str) -> None:
    with pytest.raises(ValueError, match="is not known; allowed: 'round_robin', ") as caught:
        values.word_of(AlgorithmName)(word)
    assert str(caught.value).endswith(end)
