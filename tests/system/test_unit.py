"""The unit for systemd, in what can be shown without it."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lbapp.model.announce import KeepalivedSettings

pytestmark = pytest.mark.system

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
UNIT = UNITS / "lbapp.service"
_OPEN_TWICE = """
import sys
from pathlib import Path
from lbapp.engine.supervisor.unix_files import open_to, open_unix
from lbapp.model.transport import ListenerTransport
path, transport = Path(sys.argv[1]), ListenerTransport(unix_user="nobody", unix_mode=0o660)
open_unix(path, 0o660)
open_to(path, transport)
open_to(path, transport)
"""


def read(path: Path) -> configparser.RawConfigParser:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return unit


@pytest.mark.parametrize("name", ["lbapp", "lbapp-dns", "lbapp-announce"])
def test_no_unit_is_given_up_for_having_ended_often(name: str) -> None:
    assert read(UNITS / f"{name}.service")["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_announcers_unit_withdraws_after_it_and_is_what_the_page_shows() -> None:
    unit, page = UNITS / "lbapp-announce.service", UNITS.parents[1] / "docs" / "operations.md"
    assert read(unit)["Service"]["ExecStopPost"] == read(unit)["Service"]["ExecStart"] + " --withdraw"
    shown = page.read_text().split("```ini\n[Unit]\nStartLimitIntervalSec=0\n")[1].split("```")[0]
    lines = [line for line in shown.splitlines() if "=" in line]
    assert len(lines) == 5
    assert not set(lines) - set(unit.read_text().splitlines())


def test_what_keepalived_reads_is_in_a_folder_that_no_unit_removes() -> None:
    folder = Path(KeepalivedSettings().track_file).parent
    assert Path(KeepalivedSettings().fifo).parent == folder
    assert f"d {folder} 0755 root root -" in (UNITS.parent / "tmpfiles.d" / "lbapp.conf").read_text().splitlines()
    for file in UNITS.glob("*.service"):
        assert read(file)["Service"].get("RuntimeDirectory") != folder.name
    assert read(UNITS / "lbapp-announce.service")["Service"]["ReadWritePaths"] == f"-{folder}"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_unit_may_give_the_file_of_a_socket_to_another_user_and_again_at_a_reload(tmp_path: Path) -> None:
    wanted = read(UNIT)["Service"]["CapabilityBoundingSet"].lower().replace("cap_", "+").split()
    limited = ["setpriv", "--inh-caps=-all", f"--bounding-set={','.join(['-all', *wanted])}"]
    done = subprocess.run(
        [*limited, sys.executable, "-c", _OPEN_TWICE, str(tmp_path / "web.sock")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
