"""Keys about TLS: `[listener.tls]`, `[pool.tls]` and the names that TCP routes ask for.

Responsible for the keys, their values, the files they name and the rules between them. Knows nothing of the rest of the schema.
Files are read here only to say what is wrong with them; what serves is read again when it is needed.

Invariant: a configuration that passes names pairs that belong together, ciphers that exist and authorities that can be read.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from lbapp.config import values
from lbapp.config.certificates import read_authorities, read_certificate
from lbapp.config.table import STRICT
from lbapp.config.transport import Flag
from lbapp.model.entities import Protocol
from lbapp.model.tls import DEFAULT_CIPHERS, CertificateFiles, ClientCertificates, ListenerTls, PoolTls, TlsVersion
from lbapp.model.transport import UNIX_PREFIX

Found = tuple[tuple[int | str, ...], str]

_SNI_ONLY: Final = ("sni", "pool")


def _ciphers(value: object) -> str:
    try:
        if isinstance(value, str) and value.isascii() and "SECLEVEL" not in value:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_ciphers(value)
            if any(each["protocol"] != "TLSv1.3" for each in context.get_ciphers()):
                return value
    except (ssl.SSLError, ValueError):
        pass
    raise ValueError(
        f"{values.shown(value)} chooses no cipher of TLS 1.2; allowed: names as OpenSSL has them, with colons between, "
        f'such as "{DEFAULT_CIPHERS}"'
    )


def _authorities(value: object) -> str:
    path = values.file_path(value)
    read_authorities(path)
    return path


def _server_name(value: object) -> str:
    name = values.route_host(value)
    if name.startswith(("*", "[")):
        raise ValueError(f'{values.shown(value)} is not accepted; allowed: one name, such as "app.example.com"')
    return name


def server_name_pattern(value: object) -> str:
    """Return the name that clients ask for, in lower case, with or without `*.` before it. Raises ValueError."""
    name = values.route_host(value)
    if name.startswith("["):
        raise ValueError(f"{values.shown(value)} is an address, and clients ask for names only")
    return name


File = Annotated[str, BeforeValidator(values.file_path)]
Version = Annotated[TlsVersion, BeforeValidator(values.word_of(TlsVersion))]
Authorities = Annotated[str, BeforeValidator(_authorities)]
ServerNamePattern = Annotated[str, BeforeValidator(server_name_pattern)]


class CertificateTable(BaseModel):
    """`[[listener.tls.certificate]]` and `[pool.tls.certificate]`."""

    model_config = STRICT
    file: File
    key: File | None = None

    @model_validator(mode="after")
    def _is_sound(self) -> CertificateTable:
        read_certificate(self.to_model())
        return self

    def to_model(self) -> CertificateFiles:
        """Return the table in the model's form: without a key of its own, the file holds both."""
        return CertificateFiles(self.file, self.key or self.file)


class ListenerTlsTable(BaseModel):
    """`[listener.tls]`."""

    model_config = STRICT
    certificate: list[CertificateTable] = Field(default_factory=list)
    min_version: Version = TlsVersion.TLS_1_2
    ciphers: Annotated[str, BeforeValidator(_ciphers)] = DEFAULT_CIPHERS
    client_certificate: Annotated[ClientCertificates, BeforeValidator(values.word_of(ClientCertificates))] = (
        ClientCertificates.NONE
    )
    client_ca: Authorities | None = None

    def to_model(self) -> ListenerTls:
        """Return the table in the model's form."""
        certificates = tuple(each.to_model() for each in self.certificate)
        return ListenerTls(certificates, self.min_version, self.ciphers, self.client_certificate, self.client_ca)


class PoolTlsTable(BaseModel):
    """`[pool.tls]`."""

    model_config = STRICT
    verify: Flag = True
    ca_file: Authorities | None = None
    server_name: Annotated[str, BeforeValidator(_server_name)] | None = None
    min_version: Version = TlsVersion.TLS_1_2
    certificate: CertificateTable | None = None

    def to_model(self) -> PoolTls:
        """Return the table in the model's form."""
        own = None if self.certificate is None else self.certificate.to_model()
        return PoolTls(self.verify, self.ca_file, self.server_name, self.min_version, own)


def listener_tls_rules(path: tuple[int | str, ...], listener: dict[str, Any]) -> Iterator[Found]:
    """Yield what does not hold between the keys of one listener."""
    tls = listener.get("tls")
    if not isinstance(tls, dict):
        return
    here = (*path, "tls")
    if tls.get("certificate", []) == []:
        yield here, "TLS needs a certificate; add one or more, each under [[listener.tls.certificate]]"
    asks = tls.get("client_certificate", "none") != "none"
    if asks and "client_ca" not in tls:
        yield (*here, "client_certificate"), "whose certificates are good has to be said; add client_ca"
    if not asks and "client_ca" in tls:
        yield (*here, "client_ca"), 'it means nothing without client_certificate = "optional" or "required"'
    if tls.get("min_version") == TlsVersion.TLS_1_3.value and "ciphers" in tls:
        yield (*here, "ciphers"), 'they are those of TLS 1.2, which min_version = "1.3" leaves out; remove one of them'


def sni_rules(path: tuple[int | str, ...], listener: dict[str, Any], route: dict[str, Any]) -> Iterator[Found]:
    """Yield what does not hold between one route and its listener."""
    if listener.get("protocol") != Protocol.TCP.value:
        if "sni" in route:
            yield (*path, "sni"), 'it is for protocol = "tcp"; on an http listener, match the host'
        return
    others = [key for key in route if key not in _SNI_ONLY]
    for key in others:
        yield (*path, key), f"a tcp listener reads no requests, so its routes have sni and pool only; remove {key}"
    if "sni" not in route and not others:
        yield path, "a route of a tcp listener says what clients ask for in their TLS hello; give it sni"
    if "tls" in listener:
        yield (
            (*path, "sni"),
            "the listener ends TLS itself, and then relays to its one pool; remove the route or the tls",
        )


def pool_tls_rules(path: tuple[int | str, ...], pool: dict[str, Any]) -> Iterator[Found]:
    """Yield what does not hold between the keys of one pool and its servers."""
    tls = pool.get("tls")
    if not isinstance(tls, dict):
        return
    here = (*path, "tls")
    if tls.get("verify") is False and "ca_file" in tls:
        yield (*here, "ca_file"), "it means nothing with verify = false; remove one of them"
    if tls.get("verify") is not False and "server_name" not in tls:
        servers = pool.get("server")
        for at, server in enumerate(servers if isinstance(servers, list) else []):
            address = server.get("address") if isinstance(server, dict) else None
            if isinstance(address, str) and address.startswith(UNIX_PREFIX):
                yield (
                    (*path, "server", at, "address"),
                    "a path is no name that a certificate could have; add server_name to [pool.tls]",
                )
