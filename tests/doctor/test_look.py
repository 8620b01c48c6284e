"""What a machine is like, read from real conditions."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from pathlib import Path

from lbapp.config.load import parse_configuration
from lbapp.doctor.findings import Finding, Verdict
from lbapp.doctor.look import examine, limit_of, running_engine, trial, unit_limit, unwritable, versions
from lbapp.model.entities import Bind


def test_taken_port_and_foreign_address_are_seen_and_a_free_port_is_let_go() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert trial(Bind("127.0.0.1", port)) == "address already in use"
    assert trial(Bind("127.0.0.1", port)) == ""
    assert trial(Bind("127.0.0.1", port)) == ""
    assert trial(Bind("192.0.2.1", port)) == "cannot assign requested address"


def test_folder_that_can_be_made_is_fine_and_is_not_made(tmp_path: Path) -> None:
    assert unwritable(tmp_path / "a" / "b") == ""
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "f").write_text("")
    assert unwritable(tmp_path / "f") == "no folder"


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


def test_limit_of_the_unit_is_that_of_its_last_drop_in(tmp_path: Path) -> None:
    system, own = tmp_path / "lib", tmp_path / "etc"
    folders = (own, system)
    assert unit_limit(folders) is None
    system.mkdir()
    (system / "lbapp.service").write_text("[Service]\nExecStart=/bin/x\n")
    assert unit_limit(folders) == 524288
    (system / "lbapp.service").write_text("[Service]\nLimitNOFILE=1024:4096\n")
    assert unit_limit(folders) == 4096
    dropped = own / "lbapp.service.d"
    dropped.mkdir(parents=True)
    (dropped / "10-more.conf").write_text("[Service]\nLimitNOFILE = infinity\n")
    assert unit_limit(folders) == 1 << 62
    (dropped / "20-less.conf").write_text("[Service]\nLimitNOFILE=500\n")
    assert unit_limit(folders) == 500


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


def examined(folder: Path, more: str, *, with_servers: bool = False) -> dict[str, Finding]:
    text = f'[engine]\nstate_dir = "{folder}"\n[[listener]]\nname = "l"\nbind = "127.0.0.1:0"\npool = "p"\n{more}'
    configuration = parse_configuration(text, "f")
    found = examine(configuration, folder / "f", folder / "c.sock", with_servers=with_servers)
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
