"""`lbapp check`."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from lbapp.cli.check import check
from lbapp.cli.context import Settings

VALID = '[[listener]]\nname="l"\nbind="127.0.0.1:1"\npool="app"\n[[pool]]\nname="app"\n'


def test_valid_file_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text(VALID)
    done = CliRunner().invoke(check, [str(file)], obj=Settings())
    assert done.exit_code == 0
    assert done.stdout == f"{file} is valid: 1 listener, 1 pool, 0 servers\n"
    as_json = CliRunner().invoke(check, [str(file), "--json"], obj=Settings())
    assert as_json.exit_code == 0
    assert json.loads(as_json.stdout) == {"valid": True, "problems": []}


def test_invalid_file_is_status_2_with_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text(VALID.replace('name="l"', 'nmae="l"'))
    done = CliRunner().invoke(check, [str(file)], obj=Settings())
    assert done.exit_code == 2
    assert 'unknown key "nmae"; did you mean "name"?' in done.stderr
    assert [line.split(" ")[0] for line in done.stderr.splitlines()] == [f"{file}:1:", f"{file}:2:"]
    as_json = CliRunner().invoke(check, [str(file), "--json"], obj=Settings())
    assert as_json.exit_code == 2
    assert {problem["key"] for problem in json.loads(as_json.stdout)["problems"]} == {
        "listener[0].nmae",
        "listener[0].name",
    }


def test_file_that_is_not_there_is_status_2(tmp_path: Path) -> None:
    done = CliRunner().invoke(check, [str(tmp_path / "none.toml")], obj=Settings())
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory\n"


def test_name_in_the_file_cannot_reach_the_terminal_with_control_bytes(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text(VALID.replace('"app"', '"\\u001b[2J\\n"', 1))
    done = CliRunner().invoke(check, [str(file)], obj=Settings())
    assert done.exit_code == 2
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
