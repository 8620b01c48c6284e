"""Bodies that no operator sends, to every call that changes something: refused with a sentence, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.system.harness import NO_CHECK, listener_toml, pool_toml, request, running_engine, servers

pytestmark = pytest.mark.system

CALLS = [
    ("PATCH", "/v1/pools/app"),
    ("PATCH", "/v1/pools/app/servers/s1"),
    ("DELETE", "/v1/pools/app/servers/s1"),
    ("POST", "/v1/pools/app/servers"),
    ("PATCH", "/v1/node"),
    ("PATCH", "/v1/servers"),
    ("POST", "/v1/undo"),
    ("POST", "/v1/reload"),
    ("POST", "/v1/rollback"),
    ("POST", "/v1/confirm"),
    ("POST", "/v1/upgrade"),
    ("POST", "/v1/stop"),
]
NUMBERS = ("NaN", "-Infinity", "1e400", "-1", "9" * 30, "9" * 5000, "true", '"1"', "[1]", "{}")
FIELDS = (
    "weight", "drain_timeout_s", "over_s", "abort_if_errors_percent", "expect_revision", "action", "number", "confirm_s",
    "timeout_s",
)  # fmt: skip
TEXTS = ("5", "[]", "{}", '"\\ud800"', '"a\\u0000b"', '"a\\nb"', f'"{"a" * 5000}"')
BODIES = [
    *(b"[]", b"1", b'"x"', b"{", b"\xff", b"[" * 60_000, b'{"a":' * 10_000, b" " * 70_000, b'{"nobody": 1}'),
    *(f'{{"{field}": {value}}}'.encode() for field in FIELDS for value in NUMBERS),
    *(f'{{"weight": 5, "{field}": {value}}}'.encode() for field in ("reason", "group") for value in TEXTS),
    *(f'{{"state": {value}}}'.encode() for value in TEXTS),
    *(f'{{"servers": {value}, "weight": 1}}'.encode() for value in (*TEXTS, '[["a"]]', '["app"]', '["/"]', '["app/\\ud800"]')),
    *(f'{{"name": {value}, "address": "127.0.0.1:1"}}'.encode() for value in (*TEXTS, '"s\\"9"', '"s/9"')),
    *(f'{{"name": "s9", "address": {value}}}'.encode() for value in (*TEXTS, '"x:1\\n[engine]"', '"x:1\\"\\nbackup=true"')),
    *(f'{{"dry_run": {value}}}'.encode() for value in TEXTS),
    *(f'{{"published": {value}}}'.encode() for value in TEXTS),
]  # fmt: skip


def test_hostile_bodies_are_refused_by_every_call_and_change_nothing(tmp_path: Path) -> None:
    with (
        servers() as ports,
        running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports, extra=NO_CHECK)) as engine,
        httpx.Client(
            transport=httpx.HTTPTransport(uds=str(engine.control)), base_url="http://lbapp", timeout=30
        ) as http,
    ):
        for method, path in CALLS:
            for body in BODIES:
                answer = http.request(method, path, content=body)
                told = (method, path, body[:80], answer.text[:200])
                assert answer.status_code in {404, 409, 413, 422}, told
                assert answer.json()["error"]["message"], told
        with engine.client() as client:
            assert client.differences() == []
            assert client.changes(10)["actions"] == []
            assert len(client.configurations()) == 1
        assert engine.status()["engine"]["phase"] == "serving"
        assert "failed in lbapp itself" not in engine.log.read_text()
        assert request(engine.port()).startswith(b"HTTP/1.1 200")
