"""TLS as configured: certificates for clients, verification of servers, and how a handshake with a client ends.

Responsible for the values that a listener and a pool carry for it, for the material that is read from their files, and for the
one list of ends of a handshake. Knows nothing of files, of OpenSSL or of who applies it. Invariant: the defaults are what is safe
between strangers: TLS 1.2 or newer, forward secrecy and authenticated encryption only, servers verified by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

# For TLS 1.2; those of 1.3 are all sound. Forward secret, and encrypting and authenticating in one.
DEFAULT_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsVersion(str, Enum):
    """The oldest version that is spoken."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class ClientCertificates(str, Enum):
    """Whether clients show a certificate. Whoever shows one has to show a good one."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class HandshakeEnd(IntEnum):
    """How a handshake with a client ended. Numbers index scoreboard cells: they keep their meaning."""

    DONE = 0
    TIMED_OUT = 1
    CLIENT_GONE = 2  # before the end, as port probes do
    NOT_TLS = 3
    NO_COMMON_VERSION = 4
    NO_COMMON_CIPHER = 5
    CERTIFICATE_MISSING = 6  # the client's, where one is required
    CERTIFICATE_REFUSED = 7  # the client's: not of our authorities, expired
    REFUSED_BY_CLIENT = 8  # it sent an alert: mostly because it does not trust our certificate
    FAILED = 9  # anything else


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a certificate with its chain lies, and its key; both may be one file. Absolute paths, PEM."""

    file: str
    key: str


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """How a listener speaks TLS with its clients. The first certificate is for who names no server, or an unknown one."""

    certificates: tuple[CertificateFiles, ...]
    min_version: TlsVersion = TlsVersion.TLS_1_2
    ciphers: str = DEFAULT_CIPHERS
    client_certificates: ClientCertificates = ClientCertificates.NONE
    client_ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class PoolTls:
    """How TLS is spoken with servers. `ca_file` None: the system's store; `server_name` None: the host of each server."""

    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    min_version: TlsVersion = TlsVersion.TLS_1_2
    certificate: CertificateFiles | None = None  # shown to servers that ask for one


@dataclass(frozen=True, slots=True)
class CertificateMaterial:
    """A certificate and its key as they were read and found sound. `names` are lower case, with wildcards as they stand."""

    names: tuple[str, ...]
    key_type: str
    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"CertificateMaterial({', '.join(self.names)})"  # never the key


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """All that was read for TLS: by listener and by pool. What has no entry speaks no TLS, or needs no file for it."""

    certificates: dict[str, tuple[CertificateMaterial, ...]]  # of listeners
    client_authorities: dict[str, bytes]  # of listeners
    authorities: dict[str, bytes]  # of pools
    own_certificates: dict[str, CertificateMaterial]  # of pools


NO_MATERIAL: Final = TlsMaterial({}, {}, {}, {})
