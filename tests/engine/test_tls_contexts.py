"""From settings and material to contexts; handshakes through them are in test_tls_stream and test_secure."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from lbapp.engine.tls_contexts import (
    build_listener_context,
    build_pool_context,
    build_server_context,
    load_pair,
    server_tls,
)
from lbapp.model.entities import Listener, Pool, Protocol, Server
from lbapp.model.tls import (
    NO_MATERIAL,
    CertificateMaterial,
    ClientCertificates,
    ListenerTls,
    PoolTls,
    TlsMaterial,
    TlsVersion,
)
from tests.tls_material import Authority

AUTHORITY = Authority()
PAIR = AUTHORITY.issue("app.test")
SERVER = Server("app", "s", "10.0.0.1", 443)


def test_listener_context_has_what_was_set() -> None:
    settings = ListenerTls((), TlsVersion.TLS_1_3, "ECDHE+CHACHA20", ClientCertificates.REQUIRED)
    listener = Listener("web", (), Protocol.HTTP, "app", tls=settings)
    material = TlsMaterial({"web": (PAIR.material(),)}, {"web": AUTHORITY.pem}, {}, {})
    context = build_listener_context(listener, material)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert not context.options & ssl.OP_IGNORE_UNEXPECTED_EOF
    assert len(context.get_ca_certs()) == 1
    old = {each["name"] for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"}
    assert old == {"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"}
    assert build_listener_context(replace(listener, protocol=Protocol.TCP), material)


def test_default_ciphers_are_forward_secret_and_authenticated() -> None:
    context = build_server_context(ListenerTls(()), [PAIR.material()], b"", ())
    for each in context.get_ciphers():
        assert each["aead"]
        assert "ECDHE" in each["name"] or each["protocol"] == "TLSv1.3"


def test_servers_are_verified_unless_that_is_switched_off() -> None:
    pool = Pool("app", (SERVER,), tls=PoolTls())
    verified = build_pool_context(pool, NO_MATERIAL)
    assert verified is not None
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)
    careless = build_pool_context(replace(pool, tls=PoolTls(verify=False)), NO_MATERIAL)
    assert careless is not None
    assert careless.verify_mode is ssl.CERT_NONE
    own = TlsMaterial({}, {}, {"app": AUTHORITY.pem}, {"app": PAIR.material()})
    assert build_pool_context(pool, own) is not None
    assert build_pool_context(replace(pool, tls=None), NO_MATERIAL) is None


def test_server_is_asked_for_by_its_host_or_by_what_was_set() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def name(settings: PoolTls | None, host: str) -> str | bool | None:
        found = server_tls(Pool("app", (), tls=settings), Server("app", "s", host, 1), context)
        return found.name if found is not None else False

    assert name(PoolTls(), "backend.test") == "backend.test"
    assert name(PoolTls(server_name="other.test"), "backend.test") == "other.test"
    assert name(PoolTls(verify=False), "/run/s.sock") is None
    assert name(None, "backend.test") is False


def test_pair_leaves_no_descriptor_behind_and_asks_for_no_passphrase() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, PAIR.material())
    for key in (b"rubbish", AUTHORITY.issue("other.test").key):
        with pytest.raises(ssl.SSLError):
            load_pair(context, CertificateMaterial((), "", PAIR.certificate, key))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_material_never_shows_its_key() -> None:
    assert "PRIVATE" not in repr(TlsMaterial({"web": (PAIR.material(),)}, {}, {}, {}))
