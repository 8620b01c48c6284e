"""What a machine is like, read from real conditions."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from pathlib import Path

from lbapp.config.load import parse_configuration
from lbapp.doctor.findings import Verdict
from lbapp.doctor.look import examine, running_engine, trial, unresolved, unwritable
from lbapp.model.entities import Bind
from tests.dns_server import dns_server


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


def test_name_that_there_is_not_is_told() -> None:
    assert unresolved("localhost") == ""
    assert unresolved("a" * 70 + ".invalid")


def test_name_servers_of_the_file_are_asked_in_place_of_the_system() -> None:
    with dns_server() as server:
        server.say("only.here", "A", 60, "192.0.2.1")
        asked = [("127.0.0.1", server.port)]
        assert unresolved("only.here", asked) == ""
        assert "does not exist" in unresolved("nowhere.here", asked)
    assert unresolved("only.here")


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
