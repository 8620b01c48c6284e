"""What a machine is like, read from real conditions."""

from __future__ import annotations

import os
import pwd
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lbapp.config.load import parse_configuration
from lbapp.doctor.findings import Finding, Verdict
from lbapp.doctor.look import examine, limit_of, running_engine, trial, versions
from lbapp.doctor.unit import Unit
from lbapp.model.entities import Bind
from tests.tls_material import Authority


def test_taken_port_and_foreign_address_are_seen_and_a_free_port_is_let_go() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert trial(Bind("127.0.0.1", port)) == "address already in use"
    assert trial(Bind("127.0.0.1", port)) == ""
    assert trial(Bind("127.0.0.1", port)) == ""
    assert trial(Bind("192.0.2.1", port)) == "cannot assign requested address"


def test_no_engine_is_no_error(tmp_path: Path) -> None:
    assert running_engine(tmp_path / "none.sock") is None


def test_limit_of_open_files_is_that_of_the_process(tmp_path: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300));"
        "from lbapp.doctor.look import hard_limit; print(hard_limit())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "300\n"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] != 300


def test_limit_of_another_process_is_read() -> None:
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (200, 400))
        assert limit_of(process.pid) == 400
        process.communicate()
    assert limit_of(process.pid) is None


def test_versions_are_those_of_this_process() -> None:
    python, openssl, kernel = versions()
    assert sys.version.startswith(python)
    assert openssl[0].isdigit()
    assert kernel


def test_a_machine_is_examined_for_what_the_configuration_says(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        text = f'[engine]\nstate_dir = "{tmp_path}"\n[[listener]]\nname = "l"\nbind = "{bind}"\npool = "p"\n'
        text += '[[pool]]\nname = "p"\n[[pool.server]]\nname = "s"\naddress = "localhost:80"\n'
        found = {
            each.check: each for each in examine(parse_configuration(text, "f"), tmp_path / "f", tmp_path / "c.sock")
        }
    assert found[f"listen on {bind}"].verdict is Verdict.BAD
    assert found["state_dir"].verdict is Verdict.OK
    assert found["name localhost"].verdict is Verdict.OK
    assert {"versions", "net.ipv4.tcp_max_syn_backlog", "clock"} <= set(found)


def examined(folder: Path, more: str, *, unit: Unit | None = None, with_servers: bool = False) -> dict[str, Finding]:
    text = f'[engine]\nstate_dir = "{folder}"\n[[listener]]\nname = "l"\nbind = "127.0.0.1:0"\npool = "p"\n{more}'
    configuration = parse_configuration(text, "f")
    found = examine(configuration, folder / "f", folder / "c.sock", unit=unit, with_servers=with_servers)
    return {each.check: each for each in found}


def test_where_requests_are_logged_has_to_take_lines(tmp_path: Path) -> None:
    pool = '[[pool]]\nname = "p"\n'
    found = examined(tmp_path, f'{pool}[access_log]\nto = "file:{tmp_path}/log/a.log"\n')
    assert (found["access log"].verdict, found["disk of access log"].verdict) == (Verdict.OK, found["disk"].verdict)
    (tmp_path / "log").write_text("no folder")
    found = examined(tmp_path, f'{pool}[access_log]\nto = "file:{tmp_path}/log/a.log"\n')
    assert found["access log"].verdict is Verdict.BAD
    found = examined(tmp_path, f'{pool}[access_log]\nto = "syslog:{tmp_path}/none"\n')
    assert found["access log"].verdict is Verdict.WARN


def test_servers_are_connected_to_only_when_asked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        pool = f'[[pool]]\nname = "p"\n[[pool.server]]\nname = "s"\naddress = "127.0.0.1:{port}"\n'
        assert "server p/s" not in examined(tmp_path, pool)
        assert examined(tmp_path, pool, with_servers=True)["server p/s"].verdict is Verdict.OK
    closed = examined(tmp_path, pool, with_servers=True)["server p/s"]
    assert closed.verdict is Verdict.WARN
    assert closed.found == f"127.0.0.1:{port}: connection refused"


def unit_of(folder: Path, **more: Any) -> Unit:
    """A unit of the user who runs this, that may write to a folder alone and sees all but another beside it."""
    given: dict[str, Any] = {
        "file": "f",
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "groups": (),
        "files_max": 5000,
        "made": (folder / "made",),
        "writable": (folder / "given",),
        "hidden": ((folder / "home", "ProtectHome=yes"),),
        "has_low_ports": False,
    }
    return Unit(**{**given, **more})


def test_what_the_unit_does_not_let_its_engine_write_is_bad_with_the_setting_that_lets_it(tmp_path: Path) -> None:
    more = f'[[pool]]\nname = "p"\n[access_log]\nto = "file:{tmp_path}/given/a.log"\n'
    more += f'[[listener]]\nname = "u"\nbind = ["unix:{tmp_path}/made/u.sock", "unix:{tmp_path}/u.sock"]\npool = "p"\n'
    found = examined(tmp_path, more, unit=unit_of(tmp_path))
    assert found["state_dir"].verdict is Verdict.BAD
    assert "read-only to the unit (ProtectSystem=strict)" in found["state_dir"].found
    assert f"ReadWritePaths={tmp_path}" in found["state_dir"].command
    assert found[f"listen on unix:{tmp_path}/u.sock"].verdict is Verdict.BAD
    assert found[f"listen on unix:{tmp_path}/made/u.sock"].verdict is Verdict.OK
    assert found["access log"].verdict is Verdict.OK
    assert found["open files of the unit"].found == "5000"
    assert "open files" not in found  # those of this shell are none of the unit's
    assert found["user"].verdict is Verdict.OK
    assert examined(tmp_path, more)["state_dir"].verdict is Verdict.OK


def test_certificate_that_the_unit_does_not_see_is_bad(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ca = Authority().write(home)
    more = f'[pool.tls]\nca_file = "{ca}"\n'
    found = examined(tmp_path, f'[[pool]]\nname = "p"\n{more}', unit=unit_of(tmp_path))
    assert found[f"file {ca}"].verdict is Verdict.BAD
    assert "ProtectHome=yes" in found[f"file {ca}"].found
    seen = examined(tmp_path, f'[[pool]]\nname = "p"\n{more}')
    assert f"file {ca}" not in seen
    assert seen[f"authority {ca}"].verdict is Verdict.OK


def pool_with_keys(path: Path) -> str:
    path.touch(0o600)
    path.write_text("2026-11 0123456789abcdef\n")
    return f'[[pool]]\nname = "p"\n[pool.persistence]\ntype = "cookie"\nkeys_file = "{path}"\n'


def test_file_of_keys_that_the_unit_does_not_see_is_bad(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    keys = tmp_path / "home" / "keys"
    more = pool_with_keys(keys)
    found = examined(tmp_path, more, unit=unit_of(tmp_path))[f"file {keys}"]
    assert (found.verdict, found.found) == (Verdict.BAD, "the unit does not see it (ProtectHome=yes)")
    assert f"file {keys}" not in examined(tmp_path, more)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
def test_file_of_keys_that_the_user_of_the_unit_may_not_read_is_bad_though_root_may(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    more = pool_with_keys(keys)
    found = examined(tmp_path, more, unit=unit_of(tmp_path, user="nobody"))[f"file {keys}"]
    assert (found.verdict, found.found) == (Verdict.BAD, "nobody may not read it")
    assert found.command.startswith(f"chgrp nobody {keys} && chmod 640 {keys}")
    assert f"file {keys}" not in examined(tmp_path, more, unit=unit_of(tmp_path))


def test_low_port_that_the_unit_may_not_have_is_bad_though_root_may_have_it(tmp_path: Path) -> None:
    low = '[[listener]]\nname = "w"\nbind = "127.0.0.9:7"\npool = "p"\n[[pool]]\nname = "p"\n'
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest <= 7:
        pytest.skip("everybody may listen on low ports here")
    assert examined(tmp_path, low, unit=unit_of(tmp_path))["listen on 127.0.0.9:7"].verdict is Verdict.BAD
    may = examined(tmp_path, low, unit=unit_of(tmp_path, has_low_ports=True))["listen on 127.0.0.9:7"]
    assert may.verdict is (Verdict.OK if os.geteuid() == 0 else Verdict.WARN)
