"""`[pool.persistence]`: what it accepts, what it refuses, and that the reference shows all of it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from lbapp.config.load import load_configuration, parse_configuration
from lbapp.config.persistence import PersistenceTable
from lbapp.model.errors import ConfigurationError
from lbapp.model.persistence import Persistence, PersistenceType

ROOT = Path(__file__).parents[2]
START = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n[[pool]]\nname = "app"\n[pool.persistence]\n'
KEYS = 'keys = [{ id = "a", secret = "0123456789abcdef" }]'


def persistence(text: str, start: str = START) -> Persistence:
    found = parse_configuration(start + text, "f").pools[0].persistence
    assert found is not None
    return found


def refusal(text: str, start: str = START) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(start + text, "f")
    (problem,) = caught.value.problems
    assert problem.line > 0
    return f"{problem.key}: {problem.message}"


@pytest.mark.parametrize(
    "text",
    ['type = "cookie"', 'type = "ip"', 'type = "header"\nheader = "X-User"'],
)
def test_defaults_are_the_models(text: str) -> None:
    found = persistence(text)
    header = "x-user" if found.type is PersistenceType.HEADER else ""
    assert found == Persistence(found.type, header=header)


def test_every_key_reaches_the_model() -> None:
    found = persistence(
        'type = "cookie"\nttl = "2h"\nlife = "3h"\ncookie = "c"\nhttp_only = false\nsame_site = "Strict"\n'
        f"indirect = false\nnocache = false\n{KEYS}"
    )
    assert (found.ttl_s, found.life_s, found.cookie, found.same_site) == (7200, 10800, "c", "Strict")
    assert (found.http_only, found.indirect, found.nocache) == (False, False, False)
    assert [(key.id, key.secret) for key in found.keys] == [("a", b"0123456789abcdef")]
    found = persistence('type = "ip"\nipv4_prefix = 24\nipv6_prefix = 64')
    assert (found.ipv4_prefix, found.ipv6_prefix) == (24, 64)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('type = "ip"\ncookie = "c"', "persistence.cookie: cookie has a meaning with type 'cookie' only; remove it"),
        ('type = "cookie"\nheader = "h"', "persistence.header: header has a meaning with type 'header' only; remove"),
        ('type = "header"', "persistence: the header is missing"),
        ('type = "cookie"\nttl = "9h"', "persistence.ttl: the ttl is longer than the life of a cookie"),
        ('type = "cookie"\ncookie = "a b"', "persistence.cookie: 'a b' is not accepted"),
        ('type = "cookie"\nsame_site = "lax"', "persistence.same_site: 'lax' is not accepted"),
        ('type = "cookie"\nkeys = []', "persistence.keys: allowed: a list of 1 to 16 keys"),
        ('type = "cookie"\nkeys = [1]', "persistence.keys: this is no key"),
        ('type = "cookie"\nkeys = [{ id = "a b", secret = "0123456789abcdef" }]', "persistence.keys: 'a b' is no key"),
        ('type = "cookie"\nkeys = [{ id = "a", secret = "short" }]', "persistence.keys: the secret of key a is too sh"),
        ('type = "cookie"\nkeys_file = "/no/such/file"', "persistence.keys_file: '/no/such/file' cannot be read"),
        ('type = "ip"\nipv4_prefix = 33', "persistence.ipv4_prefix: 33 is too large; allowed: 1 to 32"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(text: str, said: str) -> None:
    assert refusal(text).startswith(f"pool[0].{said}")


def test_keys_of_one_id_are_refused_and_no_secret_is_shown() -> None:
    doubled = KEYS.replace("}]", '}, { id = "a", secret = "another-secret-1" }]')
    said = refusal(f'type = "cookie"\n{doubled}')
    assert "two keys a" in said
    assert "another" not in said
    assert "short" not in refusal('type = "cookie"\nkeys = [{ id = "a", secret = "shorty" }]').replace("too short", "")


def test_a_tcp_listener_takes_address_persistence_only() -> None:
    tcp = START.replace('pool = "app"', 'protocol = "tcp"\npool = "app"', 1)
    assert persistence('type = "ip"', tcp).type is PersistenceType.IP
    assert "listener web speaks tcp, which has no cookies" in refusal('type = "cookie"', tcp)


def test_a_file_of_keys_is_read_and_refused_when_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# the first signs\nb 0123456789abcdef\n\na fedcba9876543210\n")
    path.chmod(0o640)
    text = f'type = "cookie"\nkeys_file = "{path}"'
    assert [key.id for key in persistence(text).keys] == ["b", "a"]
    assert persistence(text).keys_file == str(path)
    assert persistence(text) == replace(persistence(text), keys_file="/moved"), "the same keys are no other settings"
    assert "give keys or keys_file" in refusal(f"{text}\n{KEYS}")
    path.chmod(0o644)
    assert "everybody may read" in refusal(text)
    path.chmod(0o600)
    path.write_text("one two three\n")
    assert "is no file of keys" in refusal(text)
    path.write_bytes(b"\xff\xfe")
    assert "it is not UTF-8 text" in refusal(text)


def test_keys_in_a_configuration_that_everybody_may_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lbapp.toml"
    path.write_text(f'{START}type = "cookie"\n{KEYS}\n')
    path.chmod(0o600)
    assert load_configuration(path).pools[0].persistence is not None
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600 it, or use keys_file"):
        load_configuration(path)


def test_the_reference_shows_every_key_with_its_default() -> None:
    text = (ROOT / "conf/lbapp.reference.toml").read_text()
    pools = tomllib.loads(text)["pool"]
    shown = {key: value for pool in pools for key, value in pool.get("persistence", {}).items()}
    assert set(shown) | {"keys", "keys_file"} == set(PersistenceTable.model_fields)
    assert all(f"\n# {key} = " in text for key in ("keys", "keys_file"))
    kept = [pool.persistence for pool in parse_configuration(text, "reference").pools if pool.persistence is not None]
    assert len(kept) == 3
    for persistence in kept:
        assert persistence == Persistence(persistence.type, header=persistence.header)


def test_the_page_names_every_key() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    assert "[pool.persistence]" in page
    assert all(f"`{key}`" in page for key in PersistenceTable.model_fields)
