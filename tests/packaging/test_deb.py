"""The Debian package where systemd does not run: installed, its engine started by hand, upgraded under load, removed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging import package
from tests.packaging.machine import Machine
from tests.system.harness import wait_for

pytestmark = package.can_be_installed

_AS_LBAPP = ["setpriv", "--reuid=lbapp", "--regid=lbapp", "--init-groups"]
_WITH_LOW_PORTS = [*_AS_LBAPP, "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]
_FOLDERS = "install -d -o lbapp -g lbapp -m 750 /run/lbapp /var/lib/lbapp /var/log/lbapp"


def start(machine: Machine, log: Path) -> subprocess.Popen[bytes]:
    """Start the engine as an operator without systemd would, and return when it serves."""
    machine.shell(_FOLDERS)
    process = machine.start(log, *_WITH_LOW_PORTS, "lbapp", "run", "-c", "/etc/lbapp/lbapp.toml")

    def serves() -> bool:
        assert process.poll() is None, log.read_text()
        return "serving:" in log.read_text()

    wait_for(serves, 60)
    return process


def test_package_is_installed_upgraded_under_load_and_removed_where_systemd_does_not_run(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    with Machine(tmp_path / "machine") as machine:
        package.install(machine, package.build(tmp_path))
        package.prepare(machine)
        engine = start(machine, log)
        package.check_serves(machine)
        pid = package.pid_of(machine)
        assert "as it was" in machine.run(*_AS_LBAPP, "lbapp", "ready", "app/s1")
        machine.run("lbapp", "reload")
        package.check_rotation(machine)

        machine.write("/opt/second.deb", package.build(tmp_path, "--version", "9.0-1"))
        with package.load(machine) as requests:
            machine.run("dpkg", "-i", "/opt/second.deb")
        assert requests["failed"] == []
        assert requests["done"]
        assert package.pid_of(machine) != pid
        assert machine.run("stat", "-c", "%U:%G %a", "/etc/lbapp/lbapp.toml") == "root:lbapp 640\n"
        assert "WARNING" not in log.read_text()
        assert engine.wait(60) == 0
        package.check_removed(machine)


@pytest.mark.skipif(shutil.which("lintian") is None, reason="needs lintian")
def test_package_has_nothing_for_lintian_to_say(tmp_path: Path) -> None:
    said = subprocess.run(
        ["lintian", "--no-cfg", "--fail-on", "error,warning", "--allow-root", str(package.build(tmp_path))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout
    assert "unused-override" not in said.stdout
