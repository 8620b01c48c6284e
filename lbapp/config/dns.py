"""The file of `lbapp dns`: its keys, and what makes no sense between them.

Responsible for these keys and for turning them into the model. Knows nothing of the engine's file or of how a zone is changed.
Invariants: all problems are found in one run, each with its line; no sentence shows the secret.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from lbapp.config import values
from lbapp.config.addresses import destination, several
from lbapp.config.discovery import dns_name, name_servers
from lbapp.config.document import parse_document, read_text
from lbapp.config.secrets import SECRET_BYTES_MIN, is_open_to_all
from lbapp.config.sentences import Found
from lbapp.config.table import Table
from lbapp.model.dns import DnsSettings, TsigAlgorithm, TsigKey

_ADDRESSES_MAX: Final = 16  # of one node
_TTL_S_MAX: Final = 3600
_DEFAULT: Final = DnsSettings(("", 0), "", "", (), TsigKey("", b""))


def _name(value: object) -> str:
    return dns_name(value).rstrip(".").lower()


def _server(value: object) -> tuple[str, int]:
    try:
        return name_servers([value])[0]
    except ValueError as error:
        wrong = f"{values.shown(value)} is not the address of a name server"
        raise ValueError(f'{wrong}; write such as "192.0.2.53" or "[2001:db8::53]:5353"') from error


def _ttl_s(value: object) -> int:
    seconds = values.duration_s(value)
    if not 1 <= seconds <= _TTL_S_MAX or seconds != int(seconds):
        raise ValueError(f'{values.shown(value)} is not accepted; allowed: whole seconds, "1s" to "1h"')
    return int(seconds)


def _interval_s(value: object) -> float:
    seconds = values.duration_s(value)
    if not 0.1 <= seconds <= 60:
        raise ValueError(f'{values.shown(value)} is out of range; allowed: "100ms" to "1m"')
    return seconds


def _refresh_s(value: object) -> float:
    seconds = values.duration_s(value)
    if not 1 <= seconds <= 3600:
        raise ValueError(f'{values.shown(value)} is out of range; allowed: "1s" to "1h"')
    return seconds


def _secret(value: object) -> bytes:
    if not isinstance(value, str) or not value.startswith("/"):  # not shown: it may be the secret itself
        raise ValueError('this is no absolute path; write such as "/etc/lbapp/dns.key", a file with the secret in it')
    path = Path(values.file_path(value))
    where = values.shown(str(path))
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii").strip()
    except OSError as error:
        raise ValueError(f"{where} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is no secret in base64; make one with: openssl rand -base64 32") from error
    if is_open_to_all(mode):
        raise ValueError(f"everybody may read {where}, so it holds no secret; chmod 600 it, or 640 for its group")
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{where} is no secret in base64; make one with: openssl rand -base64 32") from error
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"the secret in {where} is too short; allowed: {SECRET_BYTES_MIN} bytes or more, in base64")
    return secret


DnsName = Annotated[str, BeforeValidator(_name)]
_Addresses = Annotated[tuple[str, ...], BeforeValidator(several(destination, _ADDRESSES_MAX))]
_Answers = Annotated[int, BeforeValidator(values.whole_number(1, 100))]


class KeyTable(Table):
    """`[key]`."""

    name: DnsName
    algorithm: Annotated[TsigAlgorithm, BeforeValidator(values.word_of(TsigAlgorithm))] = _DEFAULT.key.algorithm
    secret_file: Annotated[bytes, BeforeValidator(_secret)]


class DnsDocument(Table):
    """The whole file."""

    node: Annotated[str, BeforeValidator(values.name)] = Field(default_factory=lambda: os.uname().nodename)
    server: Annotated[tuple[str, int], BeforeValidator(_server)]
    zone: DnsName
    name: DnsName
    addresses: _Addresses
    ttl: Annotated[int, BeforeValidator(_ttl_s)] = _DEFAULT.ttl_s
    records_min: Annotated[int, BeforeValidator(values.whole_number(1, 1000))] | None = _DEFAULT.records_min
    interval: Annotated[float, BeforeValidator(_interval_s)] = _DEFAULT.interval_s
    rise: _Answers = _DEFAULT.rise
    fall: _Answers = _DEFAULT.fall
    refresh: Annotated[float, BeforeValidator(_refresh_s)] = _DEFAULT.refresh_s
    grace: Annotated[float, BeforeValidator(values.duration_s)] = _DEFAULT.grace_s
    socket: Annotated[str, BeforeValidator(values.socket_path)] | None = _DEFAULT.socket
    key: KeyTable

    def to_model(self) -> DnsSettings:
        """Return the settings. The rules between the keys have to hold."""
        return DnsSettings(
            server=self.server,
            zone=self.zone,
            name=self.name,
            addresses=self.addresses,
            key=TsigKey(self.key.name, self.key.secret_file, self.key.algorithm),
            node=self.node,
            ttl_s=self.ttl,
            records_min=self.records_min,
            interval_s=self.interval,
            rise=self.rise,
            fall=self.fall,
            refresh_s=self.refresh,
            grace_s=self.grace,
            socket=self.socket,
        )


def load_dns(path: Path) -> DnsSettings:
    """Read the file of `lbapp dns`. Raises ConfigurationError with every problem found."""
    return parse_dns(read_text(path), str(path))


def parse_dns(text: str, file: str) -> DnsSettings:
    """Read it from its text; `file` is named in problems. Raises ConfigurationError."""
    return parse_document(text, file, DnsDocument, _rules).to_model()


def _rules(data: dict[str, Any]) -> Iterator[Found]:
    zone, name = data.get("zone"), data.get("name")
    if isinstance(zone, str) and isinstance(name, str):
        inner, outer = name.rstrip(".").lower(), zone.rstrip(".").lower()
        if inner != outer and not inner.endswith(f".{outer}"):
            yield ("name",), f"{values.quoted(name)} is not in the zone {values.quoted(zone)}; write it in full"
