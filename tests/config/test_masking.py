from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lbapp.config.masking import MASK, without_secrets

REFERENCE = Path(__file__).parents[2] / "conf/lbapp.reference.toml"
SECRET = "s3cr3t-of-sixteen-bytes"
TEXT = f"""
# {SECRET}
[[listener]]
name = "web"
tracing = {{ accept = "none" }}
request_headers = {{ set = {{ x-key = "{SECRET}" }}, add = {{ x-other = "{SECRET}" }}, remove = ["x-debug"] }}
[[listener.route]]
headers = {{ x-tier = {{ regex = "{SECRET}" }}, x-there = "{SECRET}" }}
[[pool]]
name = "app"
persistence = {{ type = "cookie", keys = [{{ id = "2026", secret = "{SECRET}" }}], keys_file = "/etc/keys" }}
health_check = {{ type = "tcp", send = "AUTH {SECRET}" }}
later = {{ password = "{SECRET}", api = {{ access_token = ["{SECRET}"] }} }}
[access_log]
headers = ["User-Agent"]
"""


def test_secrets_are_masked_and_all_else_stays() -> None:
    masked = without_secrets(TEXT)
    assert SECRET not in masked
    found = tomllib.loads(masked)
    pool, listener = found["pool"][0], found["listener"][0]
    assert pool["persistence"] == {"type": "cookie", "keys": [{"id": "2026", "secret": MASK}], "keys_file": "/etc/keys"}
    assert listener["request_headers"] == {"set": {"x-key": MASK}, "add": {"x-other": MASK}, "remove": ["x-debug"]}
    assert (pool["health_check"], found["access_log"]) == ({"type": "tcp", "send": MASK}, {"headers": ["User-Agent"]})
    assert listener["route"][0]["headers"] == {"x-tier": {"regex": MASK}, "x-there": MASK}


def test_reference_keeps_every_table() -> None:
    whole, masked = tomllib.loads(REFERENCE.read_text()), tomllib.loads(without_secrets(REFERENCE.read_text()))
    assert masked.keys() == whole.keys()
    assert masked["limits"] == whole["limits"]
    assert masked["pool"][0].keys() == whole["pool"][0].keys()


@pytest.mark.parametrize(("text", "reason"), [("a =", "Invalid value"), ("a = " + "[" * 5000, "nested too deeply")])
def test_what_is_no_toml_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        without_secrets(text)
