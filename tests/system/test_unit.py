"""The unit for systemd, in what can be shown without it."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lbapp.model.announce import KeepalivedSettings

pytestmark = pytest.mark.system

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
UNIT = UNITS / "lbapp.service"
EXPOSURE_MAX = {"lbapp": 2.0, "lbapp-dns": 2.0, "lbapp-announce": 2.0, "lbapp-handoff": 2.5}
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


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", EXPOSURE_MAX)
def test_units_are_as_closed_as_their_work_allows(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / f"{name}.service")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found, said
    assert float(found[1]) <= EXPOSURE_MAX[name], said


def test_every_unit_is_closed_to_the_same_and_the_handoffs_alone_sets_the_kernel() -> None:
    files = sorted(UNITS.glob("*.service"))
    assert {file.stem for file in files} == set(EXPOSURE_MAX)
    for file in files:
        service = read(file)["Service"]
        for key in (
            "NoNewPrivileges",
            "ProtectHome",
            "PrivateTmp",
            "PrivateDevices",
            "MemoryDenyWriteExecute",
            "RestrictNamespaces",
        ):
            assert service[key] == "yes", f"{file.name}: {key}"
        assert service["SystemCallErrorNumber"] == "EPERM"
        assert (service.get("ProtectKernelTunables") == "yes") is (file.stem != "lbapp-handoff")
    assert read(UNIT)["Service"]["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert read(UNIT)["Service"]["User"] == read(UNITS / "lbapp-dns.service")["Service"]["User"] == "lbapp"
    assert "u lbapp - " in (UNITS.parent / "sysusers.d" / "lbapp.conf").read_text()


def test_the_announcers_unit_withdraws_after_it_and_is_what_the_page_shows() -> None:
    unit, page = UNITS / "lbapp-announce.service", UNITS.parents[1] / "docs" / "operations.md"
    assert read(unit)["Service"]["ExecStopPost"] == read(unit)["Service"]["ExecStart"] + " --withdraw"
    shown = page.read_text().split("```ini\n[Unit]\nStartLimitIntervalSec=0\n")[1].split("```")[0]
    lines = [line for line in shown.splitlines() if "=" in line]
    assert len(lines) == 8
    assert not set(lines) - set(unit.read_text().splitlines())


def test_what_keepalived_reads_is_in_a_folder_that_no_unit_removes() -> None:
    folder = Path(KeepalivedSettings().track_file).parent
    assert Path(KeepalivedSettings().fifo).parent == folder
    assert f"d {folder} 0755 root root -" in (UNITS.parent / "tmpfiles.d" / "lbapp.conf").read_text().splitlines()
    for file in UNITS.glob("*.service"):
        service = read(file)["Service"]
        assert service.get("RuntimeDirectory") != folder.name or service["RuntimeDirectoryPreserve"] == "yes"
    assert read(UNITS / "lbapp-announce.service")["Service"]["RuntimeDirectory"] == folder.name


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_the_drop_in_lets_the_engine_give_the_file_of_a_socket_away_and_again_at_a_reload(tmp_path: Path) -> None:
    service = read(UNITS / "lbapp.service.d" / "unix-owners.conf.example")["Service"]
    assert service["SystemCallFilter"] == "@chown"
    wanted = service["CapabilityBoundingSet"].lower().replace("cap_", "+").split()
    limited = ["setpriv", "--inh-caps=-all", f"--bounding-set={','.join(['-all', *wanted])}"]
    done = subprocess.run(
        [*limited, sys.executable, "-c", _OPEN_TWICE, str(tmp_path / "web.sock")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
