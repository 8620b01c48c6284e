"""Certificates and keys in files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lbapp.config.certificates import read_authorities, read_certificate
from lbapp.model.limits import CERTIFICATE_FILE_BYTES_MAX
from lbapp.model.tls import CertificateFiles
from tests.tls_material import Authority

AUTHORITY = Authority()


def test_pair_says_what_it_is_for(tmp_path: Path) -> None:
    pair = AUTHORITY.issue("App.test", "*.app.test", "10.0.0.1", days=30)
    found = read_certificate(pair.write(tmp_path, "app"))
    assert found.material.names == ("app.test", "*.app.test")
    assert found.material.key == pair.key
    assert found.issuer == "CN=lbapp test authority"
    assert 31 < (found.not_after - found.not_before) / 86400 < 33
    assert len(found.fingerprint) == 64


def test_both_kinds_of_key_one_file_for_both_and_a_chain_are_taken(tmp_path: Path) -> None:
    rsa, ec = AUTHORITY.issue("a.test", kind="rsa"), AUTHORITY.issue("a.test")
    types = {read_certificate(pair.write(tmp_path, name)).material.key_type for name, pair in (("r", rsa), ("e", ec))}
    assert len(types) == 2
    both = tmp_path / "both.pem"
    both.touch(0o600)
    both.write_bytes(ec.certificate + AUTHORITY.pem + ec.key)
    assert read_certificate(CertificateFiles(str(both), str(both))).material.names == ("a.test",)


def test_common_name_counts_where_there_is_no_list_of_names(tmp_path: Path) -> None:
    assert read_certificate(AUTHORITY.issue(common="Old.test").write(tmp_path, "old")).material.names == ("old.test",)


def refused(files: CertificateFiles) -> str:
    with pytest.raises(ValueError) as caught:
        read_certificate(files)
    return str(caught.value)


def test_what_cannot_serve_is_said_in_a_sentence(tmp_path: Path) -> None:
    good = AUTHORITY.issue("a.test").write(tmp_path, "good")
    other = AUTHORITY.issue("b.test").write(tmp_path, "other")
    assert "is not the key of the first certificate" in refused(CertificateFiles(good.file, other.key))
    assert "cannot be read: No such file" in refused(CertificateFiles(good.file, str(tmp_path / "none")))
    Path(other.file).chmod(0o600)
    assert "holds no private key" in refused(CertificateFiles(good.file, other.file))
    assert "holds no certificate" in refused(CertificateFiles(good.key, good.key))
    Path(good.key).chmod(0o644)
    assert "chmod 600" in refused(good)
    Path(good.key).chmod(0o640)
    assert read_certificate(good)
    big = tmp_path / "big"
    big.write_bytes(b"x" * (CERTIFICATE_FILE_BYTES_MAX + 1))
    assert "larger than" in refused(CertificateFiles(str(big), good.key))


def test_kind_of_key_that_nobody_here_knows_is_said_and_ends_nothing(tmp_path: Path) -> None:
    odd = CertificateFiles(str(tmp_path / "odd.pem"), str(tmp_path / "odd.key"))
    making = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp160k1 -nodes -days 3 -subj /CN=odd.test"
    subprocess.run([*making.split(), "-keyout", odd.key, "-out", odd.file], check=True, capture_output=True)
    Path(odd.key).chmod(0o600)
    assert "the kind of key in" in refused(odd)
    good = AUTHORITY.issue("a.test").write(tmp_path, "good")
    assert "cannot be used" in refused(CertificateFiles(odd.file, good.key))


def test_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    good = AUTHORITY.issue("a.test").write(tmp_path, "good")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-in", good.key, "-aes256", "-passout", "pass:secret", "-out", str(locked)],
        check=True,
        capture_output=True,
    )
    locked.chmod(0o600)
    assert "has a passphrase" in refused(CertificateFiles(good.file, str(locked)))


def test_authorities_are_read(tmp_path: Path) -> None:
    path = AUTHORITY.write(tmp_path)
    assert read_authorities(str(path)) == AUTHORITY.pem
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="holds no certificate"):
        read_authorities(str(path))
