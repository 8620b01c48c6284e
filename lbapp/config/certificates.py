"""Certificates and keys in files: read, checked, and what they say of themselves.

Responsible for saying whether a pair of files can serve, and why not; for the names, dates and key type of a certificate; for
files of authorities. Knows nothing of listeners or of who uses a pair. Its library is imported at its first use, so that an
engine without TLS pays nothing for it.

Invariants: no sentence made here shows a key; a pair that is returned belongs together; a key that everybody may read is refused.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbapp.config import values
from lbapp.config.secrets import is_open_to_all
from lbapp.model.limits import CERTIFICATE_FILE_BYTES_MAX
from lbapp.model.tls import CertificateFiles, CertificateMaterial

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class Certificate:
    """A pair that was read. Times in Unix seconds; `issuer` is one line; `fingerprint` is SHA-256 in hexadecimal."""

    material: CertificateMaterial
    not_before: float
    not_after: float
    issuer: str
    fingerprint: str


def read_certificate(files: CertificateFiles) -> Certificate:
    """Read a pair of files. Raises ValueError with a sentence for the operator."""
    return inspect(_read(files.file), _read(files.key, is_key=True), files)


def inspect(chain: bytes, key: bytes, files: CertificateFiles) -> Certificate:
    """Look at what two files hold. Raises ValueError with a sentence for the operator."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization

    malformed = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
    leaf = _certificates(chain, files.file)[0]
    private = _private_key(key, files.key)
    public = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        names, of_leaf = _names(leaf), leaf.public_key().public_bytes(*public)
    except malformed as error:
        raise ValueError(f"the first certificate in {values.shown(files.file)} cannot be used: {error}") from error
    if of_leaf != private.public_key().public_bytes(*public):
        raise ValueError(
            f"the key in {values.shown(files.key)} is not the key of the first certificate in {values.shown(files.file)}"
        )
    material = CertificateMaterial(names, type(private).__name__.strip("_"), chain, key)
    return Certificate(
        material=material,
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
        issuer=values.printable(leaf.issuer.rfc4514_string()),
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
    )


def read_authorities(path: str) -> bytes:
    """Return the certificates of authorities in a file. Raises ValueError with a sentence for the operator."""
    data = _read(path)
    _certificates(data, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data.decode("ascii", "ignore"))
    except ssl.SSLError as error:
        raise ValueError(f"{values.shown(path)} holds a certificate that cannot be used: {error.reason}") from error
    return data


def _read(path: str, *, is_key: bool = False) -> bytes:
    try:
        with Path(path).open("rb") as file:
            is_open = is_key and is_open_to_all(os.fstat(file.fileno()).st_mode)
            data = file.read(CERTIFICATE_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"{values.shown(path)} cannot be read: {error.strerror}") from error
    if is_open:
        raise ValueError(f"everybody may read the key in {values.shown(path)}; chmod 600 it, or 640 for its group")
    if len(data) > CERTIFICATE_FILE_BYTES_MAX:
        raise ValueError(f"{values.shown(path)} is larger than {CERTIFICATE_FILE_BYTES_MAX >> 20} MiB")
    return data


def _certificates(data: bytes, path: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError(f"{values.shown(path)} holds no certificate in PEM form") from error


def _private_key(data: bytes, path: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(data, None)
    except TypeError as error:
        raise ValueError(
            f"the key in {values.shown(path)} has a passphrase, and lbapp asks for none; store it without one, mode 600"
        ) from error
    except UnsupportedAlgorithm as error:
        raise ValueError(
            f"the kind of key in {values.shown(path)} is not known here; use ECDSA P-256 or RSA"
        ) from error
    except ValueError as error:
        raise ValueError(f"{values.shown(path)} holds no private key in PEM form") from error


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """Return the names a certificate is for; the common name counts where there is no list, as in old ones."""
    from cryptography import x509

    try:
        listed = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = listed.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        common = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [str(each.value) for each in common]
    return tuple(dict.fromkeys(values.printable(name.lower().removesuffix(".")) for name in names))
