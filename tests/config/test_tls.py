"""`[listener.tls]`, `[pool.tls]` and routes by server name."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from lbapp.config.load import parse_configuration
from lbapp.config.tls import CertificateTable, ListenerTlsTable, PoolTlsTable
from lbapp.model.errors import ConfigurationError
from lbapp.model.tls import DEFAULT_CIPHERS, ClientCertificates, PoolTls, TlsVersion
from tests.tls_material import Authority

AUTHORITY = Authority()
LISTENER = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
TCP = LISTENER.replace('pool = "app"\n', 'protocol = "tcp"\n')
POOL = '[[pool]]\nname = "app"\n'


@pytest.fixture
def pair(tmp_path: Path) -> str:
    files = AUTHORITY.issue("app.test").write(tmp_path, "app")
    AUTHORITY.write(tmp_path).rename(tmp_path / "ca.pem")
    return f'[[listener.tls.certificate]]\nfile = "{files.file}"\nkey = "{files.key}"\n'


def problems(text: str) -> list[str]:
    try:
        parse_configuration(text, "f.toml")
    except ConfigurationError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_everything_about_tls_reaches_the_model(pair: str, tmp_path: Path) -> None:
    tls = f'[listener.tls]\nmin_version = "1.2"\nclient_certificate = "required"\nclient_ca = "{tmp_path}/ca.pem"\n'
    own = f'[pool.tls.certificate]\nfile = "{tmp_path}/app.pem"\nkey = "{tmp_path}/app.key"\n'
    pool = f'{POOL}[pool.tls]\nca_file = "{tmp_path}/ca.pem"\nserver_name = "s.test"\nmin_version = "1.3"\n{own}'
    found = parse_configuration(LISTENER + tls + pair + pool, "f.toml")
    listener, upstream = found.listeners[0].tls, found.pools[0].tls
    assert listener is not None
    assert upstream is not None
    assert listener.client_certificates is ClientCertificates.REQUIRED
    assert listener.client_ca_file == f"{tmp_path}/ca.pem"
    assert listener.certificates[0].key.endswith("app.key")
    assert (upstream.verify, upstream.server_name, upstream.min_version) == (True, "s.test", TlsVersion.TLS_1_3)
    assert upstream.certificate is not None


def test_empty_table_is_enough_for_servers() -> None:
    assert parse_configuration(LISTENER + POOL + "[pool.tls]\n", "f.toml").pools[0].tls == PoolTls()


def test_tcp_routes_go_by_the_name_asked_for() -> None:
    routes = '[[listener.route]]\nsni = "*.App.test"\npool = "app"\n'
    assert parse_configuration(TCP + routes + POOL, "f.toml").listeners[0].routes[0].sni == "*.app.test"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LISTENER + "[listener.tls]\n" + POOL, "listener[0].tls: TLS needs a certificate"),
        (LISTENER + '[listener.tls]\nciphers = "NONE"\nPAIR' + POOL, "chooses no cipher of TLS 1.2"),
        (LISTENER + '[listener.tls]\nciphers = "ALL:@SECLEVEL=0"\nPAIR' + POOL, "chooses no cipher of TLS 1.2"),
        (LISTENER + '[listener.tls]\nmin_version = "1.1"\nPAIR' + POOL, "'1.1' is not known; allowed: '1.2' or '1.3'"),
        (LISTENER + '[listener.tls]\nclient_certificate = "optional"\nPAIR' + POOL, "add client_ca"),
        (LISTENER + '[listener.tls]\nclient_ca = "FOLDER/ca.pem"\nPAIR' + POOL, "it means nothing without client_cert"),
        (
            LISTENER + '[listener.tls]\nclient_certificate = "required"\nclient_ca = "FOLDER/none"\nPAIR' + POOL,
            "cannot be read",
        ),
        (
            LISTENER + '[listener.tls]\nmin_version = "1.3"\nciphers = "ECDHE+AESGCM"\nPAIR' + POOL,
            "they are those of TLS 1.2",
        ),
        (LISTENER + '[[listener.tls.certificate]]\nfile = "FOLDER/app.key"\n' + POOL, "holds no certificate"),
        (LISTENER + '[[listener.tls.certificate]]\nfile = "app.pem"\n' + POOL, "listener[0].tls.certificate[0].file"),
        (LISTENER + POOL + '[pool.tls]\nverify = false\nca_file = "FOLDER/ca.pem"\n', "means nothing with verify"),
        (LISTENER + POOL + '[pool.tls]\nserver_name = "*.test"\n', "allowed: one name"),
        (
            LISTENER + POOL + '[pool.tls]\n[[pool.server]]\nname = "s"\naddress = "unix:/run/s"\n',
            "add server_name to [pool.tls]",
        ),
        (LISTENER + '[[listener.route]]\nsni = "a.test"\npool = "app"\n' + POOL, 'it is for protocol = "tcp"'),
        (TCP + '[[listener.route]]\npool = "app"\n' + POOL, "give it sni"),
        (TCP + '[[listener.route]]\nsni = "a.test"\npath = "/"\npool = "app"\n' + POOL, "remove path"),
        (TCP + '[[listener.route]]\nsni = "[::1]"\npool = "app"\n' + POOL, "clients ask for names only"),
        (TCP + '[[listener.route]]\nsni = "a.test"\npool = "app"\n[listener.tls]\nPAIR' + POOL, "ends TLS itself"),
        (TCP + POOL, "the listener has no pool"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, sentence: str, pair: str, tmp_path: Path) -> None:
    found = problems(text.replace("PAIR", pair).replace("FOLDER", str(tmp_path)))
    assert len(found) == 1, found
    assert sentence in found[0]


def test_reference_shows_every_key_with_its_default(pair: str, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "conf/lbapp.reference.toml").read_text()
    commented = re.search(r"^# \[listener\.tls\].*\n(?:# .*\n)+", text, re.MULTILINE)
    assert commented is not None
    listener = re.sub(r"^# ", "", commented[0], flags=re.MULTILINE)
    own = re.search(r"^# \[pool\.tls\.certificate\].*\n(?:# .*\n)+", text, re.MULTILINE)
    assert own is not None
    written = tomllib.loads(listener + re.sub(r"^# ", "", own[0], flags=re.MULTILINE))
    assert set(written["listener"]["tls"]) == set(ListenerTlsTable.model_fields)
    assert set(written["listener"]["tls"]["certificate"][0]) == set(CertificateTable.model_fields)
    assert set(written["pool"]["tls"]["certificate"]) == set(CertificateTable.model_fields)
    in_pool = next(pool["tls"] for pool in tomllib.loads(text)["pool"] if "tls" in pool)
    assert {*in_pool, "ca_file", "certificate"} == set(PoolTlsTable.model_fields)
    for key, paths in (("file", "app.pem"), ("key", "app.key"), ("client_ca", "ca.pem")):
        listener = re.sub(rf'^{key} = "[^"]*"', f'{key} = "{tmp_path}/{paths}"', listener, flags=re.MULTILINE)
    found = parse_configuration(LISTENER + listener + POOL, "f.toml").listeners[0].tls
    assert found is not None
    assert (found.min_version, found.ciphers) == (TlsVersion.TLS_1_2, DEFAULT_CIPHERS)
    page = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    for key in (*ListenerTlsTable.model_fields, *PoolTlsTable.model_fields, *CertificateTable.model_fields):
        assert f"`{key}`" in page, key


def test_rules_leave_wrong_types_to_the_schema() -> None:
    assert len(problems(LISTENER + "tls = 5\n" + POOL + "tls = 5\n")) == 2
    found = problems(LISTENER + POOL + "server = 5\n[pool.tls]\n")
    assert len(found) == 1
