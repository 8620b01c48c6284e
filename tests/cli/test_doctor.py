"""`lbapp doctor`."""

from __future__ import annotations

import datetime as dt
import json
import socket
from pathlib import Path

from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lbapp.cli.context import Settings
from lbapp.cli.doctor import doctor
from tests.system.harness import free_port, running_engine


def configuration(folder: Path, port: int, more: str = "") -> Path:
    file = folder / "f.toml"
    text = (
        f'[engine]\nstate_dir = "{folder}"\n[[listener]]\nname = "web"\nbind = "127.0.0.1:{port}"\npool = "p"\n{more}'
    )
    file.write_text(text + '[[pool]]\nname = "p"\n')
    return file


def test_taken_port_is_bad_with_the_command_that_tells_by_whom(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(
            doctor, [str(configuration(tmp_path, port)), "--socket", str(tmp_path / "c")], obj=Settings()
        )
    assert done.exit_code == 1
    assert f"BAD  listen on 127.0.0.1:{port}: address already in use" in done.stdout
    assert f"ss -ltnp 'sport = :{port}'" in done.stdout


def test_fit_machine_is_status_0_and_json_has_every_check(tmp_path: Path) -> None:
    file = configuration(tmp_path, free_port())
    done = CliRunner().invoke(doctor, [str(file), "--json", "--socket", str(tmp_path / "c")], obj=Settings())
    assert done.exit_code == 0, done.stdout
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert {"open files", "net.core.somaxconn", "state_dir", "disk", "clock", "engine"} <= set(found)
    assert set(found["clock"]) == {"check", "verdict", "found", "wanted", "why", "command"}


def test_servers_are_connected_to_when_asked_for(tmp_path: Path) -> None:
    file, closed = configuration(tmp_path, free_port()), free_port()
    file.write_text(file.read_text() + f'[[pool.server]]\nname = "s"\naddress = "127.0.0.1:{closed}"\n')
    command = [str(file), "--socket", str(tmp_path / "c")]
    assert "server p/s" not in CliRunner().invoke(doctor, command, obj=Settings()).stdout
    done = CliRunner().invoke(doctor, [*command, "--servers"], obj=Settings())
    assert f"WARN server p/s: 127.0.0.1:{closed}: connection refused; it should be reachable" in done.stdout
    assert done.exit_code == 0


def test_file_of_keys_that_is_not_there_or_is_no_secret_or_has_no_keys_is_status_2(tmp_path: Path) -> None:
    keys, file = tmp_path / "keys", configuration(tmp_path, free_port())
    file.write_text(f'{file.read_text()}[pool.persistence]\ntype = "cookie"\nkeys_file = "{keys}"\n')

    def refused() -> str:
        done = CliRunner().invoke(doctor, [str(file), "--socket", str(tmp_path / "c")], obj=Settings())
        assert (done.exit_code, "persistence.keys_file: " in done.stderr) in ((0, False), (2, True))
        return done.stderr

    assert "' cannot be read: No such file or directory" in refused()
    keys.write_text("2026-11 0123456789abcdef\n")
    keys.chmod(0o644)
    assert "so it holds no secrets; chmod 600 it" in refused()
    keys.chmod(0o640)
    assert refused() == ""
    keys.write_text("2026-11\n")
    assert "' is no file of keys; allowed: 1 to 16 lines of ID SECRET" in refused()


def test_expired_certificate_is_bad(tmp_path: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "old.example.com")])
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), 1, now - dt.timedelta(9), now - dt.timedelta(1)
    )
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "old.pem"
    file.touch(0o600)
    file.write_bytes(pem)
    path = configuration(tmp_path, free_port(), f'[[listener.tls.certificate]]\nfile = "{file}"\n')
    done = CliRunner().invoke(doctor, [str(path), "--socket", str(tmp_path / "c")], obj=Settings())
    assert done.exit_code == 1
    assert f"BAD  certificate {file}: expired" in done.stdout


def test_ports_of_the_engine_that_serves_by_the_file_are_fine_and_invalid_files_are_status_2(tmp_path: Path) -> None:
    port = free_port()
    text = f'[[listener]]\nname = "web"\nbind = "127.0.0.1:{port}"\npool = "p"\n[[pool]]\nname = "p"\n'
    with running_engine(tmp_path, text, workers=1) as engine:
        file = tmp_path / "lbapp.toml"
        done = CliRunner().invoke(doctor, [str(file), "--socket", str(engine.control)], obj=Settings())
        assert done.exit_code == 0, done.stdout
        assert "taken by the engine that serves by this file" in done.stdout
        assert "open files of the engine: " in done.stdout
        # What somebody else has taken stays taken, also for a listener that is new in this file.
        with socket.create_server(("127.0.0.1", 0)) as taken:
            other = taken.getsockname()[1]
            listener = f'[[listener]]\nname = "more"\nbind = "127.0.0.1:{other}"\npool = "p"\n'
            file.write_text(file.read_text() + listener)
            done = CliRunner().invoke(doctor, [str(file), "--socket", str(engine.control)], obj=Settings())
        assert done.exit_code == 1
        assert f"BAD  listen on 127.0.0.1:{other}: address already in use" in done.stdout
    file.write_text("x = 1\n")
    assert CliRunner().invoke(doctor, [str(file)], obj=Settings()).exit_code == 2
