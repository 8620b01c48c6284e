"""The file of `lbapp dns`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lbapp.config.dns import DnsDocument, KeyTable, load_dns, parse_dns
from lbapp.model.dns import DnsSettings, TsigAlgorithm, TsigKey
from lbapp.model.errors import ConfigurationError

SECRET = b"sixteen bytes or more"
SAMPLE = Path(__file__).parents[2] / "conf/dns.toml"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "dns.key"
    path.write_text("c2l4dGVlbiBieXRlcyBvciBtb3Jl\n")
    path.chmod(0o600)
    return path


def least(key: Path) -> dict[str, str]:
    return {
        "name": '"WWW.example.com."',
        "zone": '"example.com"',
        "server": '"192.0.2.53"',
        "addresses": '["192.0.2.11", "2001:DB8:0::11"]',
        "[key]\nname": '"lbapp"',
        "secret_file": f'"{key}"',
    }


def text(keys: dict[str, str]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in keys.items())


def problems(content: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_dns(content, "dns.toml")
    return [str(problem) for problem in caught.value.problems]


def test_the_least_file_has_the_models_defaults_and_the_hosts_name(key: Path) -> None:
    assert parse_dns(text(least(key)), "dns.toml") == DnsSettings(
        server=("192.0.2.53", 53),
        zone="example.com",
        name="www.example.com",
        addresses=("192.0.2.11", "2001:db8::11"),
        key=TsigKey("lbapp", SECRET),
        node=os.uname().nodename,
    )


def test_every_key_is_taken_over(key: Path) -> None:
    more = {
        "node": '"lb1"',
        "ttl": '"1m"',
        "records_min": "3",
        "interval": '"250ms"',
        "rise": "4",
        "fall": "5",
        "refresh": '"30s"',
        "grace": '"1m"',
        "socket": '"/run/other.sock"',
    }
    keys = {**more, **least(key), "algorithm": '"hmac-sha512"'} | {"server": '"[2001:db8::53]:5353"'}
    assert parse_dns(text(keys), "dns.toml") == DnsSettings(
        server=("2001:db8::53", 5353),
        zone="example.com",
        name="www.example.com",
        addresses=("192.0.2.11", "2001:db8::11"),
        key=TsigKey("lbapp", SECRET, TsigAlgorithm.SHA512),
        node="lb1",
        ttl_s=60,
        records_min=3,
        interval_s=0.25,
        rise=4,
        fall=5,
        refresh_s=30.0,
        grace_s=60.0,
        socket="/run/other.sock",
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("name", '"www.example.org"', "is not in the zone"),
        ("server", '"ns1.example.com"', "is not the address of a name server"),
        ("server", "53", "is not the address of a name server"),
        ("addresses", "[]", "a list of 1 to 16 addresses"),
        ("addresses", '"192.0.2.11"', "a list of 1 to 16 addresses"),
        ("addresses", '["192.0.2.11:80"]', "is not an address"),
        ("addresses", '["0.0.0.0"]', "no address that others can send to"),
        ("addresses", '["fe80::1%eth0"]', "no address that others can send to"),
        ("addresses", '["192.0.2.11", "192.0.2.11"]', "stands here twice"),
        ("ttl", '"0s"', '"1s" to "1h"'),
        ("ttl", '"1500ms"', "whole seconds"),
        ("ttl", "20", "is not a duration"),
        ("records_min", "0", "too small; allowed: 1 to 1000"),
        ("interval", '"10ms"', '"100ms" to "1m"'),
        ("refresh", '"500ms"', '"1s" to "1h"'),
        ("node", '"a b"', "1 to 63 letters"),
        ("tll", '"20s"', 'unknown key "tll"; did you mean "ttl"?'),
    ],
)
def test_bad_value_is_one_sentence_with_its_line(key: Path, name: str, value: str, sentence: str) -> None:
    keys = {name: value, **least(key)}
    keys[name] = value
    (found,) = problems(text(keys))
    assert found.startswith(f"dns.toml:1: {name}: "), found
    assert sentence in found


def test_all_problems_are_said_at_once(key: Path) -> None:
    keys = {"ttl": "1", **least(key), "algorithm": '"hmac-md5"'}
    del keys["server"]
    found = problems(text(keys))
    assert [each.partition(": ")[2].partition(":")[0] for each in found] == ["server", "ttl", "key.algorithm"]


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        ("c2l4dGVlbiBieXRlcyBvciBtb3Jl", 0o644, "everybody may read"),
        ("not base64!", 0o600, "is no secret in base64"),
        ("\u00e4", 0o600, "is no secret in base64"),
        ("c2hvcnQ=", 0o600, "is too short"),
        (None, 0o600, "cannot be read: No such file or directory"),
    ],
)
def test_secret_that_is_none_is_refused_and_never_shown(
    key: Path, content: str | None, mode: int, sentence: str
) -> None:
    key.unlink()
    if content is not None:
        key.write_text(content, "utf-8")
        key.chmod(mode)
    (found,) = problems(text(least(key)))
    assert sentence in found
    assert "key.secret_file" in found
    assert content is None or content not in found


def test_secret_that_stands_in_the_place_of_its_file_is_not_shown(key: Path) -> None:
    secret = "c2l4dGVlbiBieXRlcyBvciBtb3Jl"
    keys = {name: value.replace(str(key), secret) for name, value in least(key).items()}
    (found,) = problems(text(keys))
    assert "no absolute path" in found
    assert secret[:8] not in found


def test_no_value_shows_the_secret(key: Path) -> None:
    assert "sixteen" not in repr(parse_dns(text(least(key)), "dns.toml"))


def test_sample_file_has_every_key_and_loads_with_a_secret(tmp_path: Path, key: Path) -> None:
    sample = SAMPLE.read_text()
    for table in (DnsDocument, KeyTable):
        for name in table.model_fields:
            assert re.search(rf"^\[?{name}[ \]]", sample, re.MULTILINE), name
    path = tmp_path / "dns.toml"
    path.write_text(sample.replace("/etc/lbapp/dns.key", str(key)))
    found = load_dns(path)
    for name in ("ttl_s", "interval_s", "rise", "fall", "refresh_s", "grace_s"):
        assert getattr(found, name) == getattr(DnsSettings(("", 0), "", "", (), TsigKey("", b"")), name), name


def test_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        load_dns(tmp_path / "none.toml")
