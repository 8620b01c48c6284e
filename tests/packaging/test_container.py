"""The container file, where no container can be built: its own steps on a machine that is thrown away, then its own command."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.packaging.machine import Machine
from tests.packaging.package import ROOT, build, can_be_installed
from tests.system.harness import wait_for

pytestmark = can_be_installed

FILE = ROOT / "packaging" / "container" / "Containerfile"


def steps(kind: str) -> list[str]:
    """Return what stands behind each instruction of a kind in the last stage."""
    last = FILE.read_text().replace("\\\n", " ").rpartition("\nFROM ")[2]
    return [line.partition(" ")[2] for line in last.splitlines() if re.match(rf"{kind}\b", line)]


def words(instruction: str) -> list[str]:
    """Return the words of an instruction that lists them."""
    found = json.loads(instruction[instruction.index("[") :])
    return [str(each) for each in found]


def test_the_containers_user_serves_from_a_read_only_root_without_any_capability(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    (user,), (entry,), (command,), (health,) = steps("USER"), steps("ENTRYPOINT"), steps("CMD"), steps("HEALTHCHECK")
    (volumes,) = steps("VOLUME")
    with Machine(tmp_path / "machine") as machine:
        # The libraries as the package has them: pip would ask the index for the same.
        machine.write("/opt/lbapp.deb", build(tmp_path))
        machine.shell("dpkg-deb -x /opt/lbapp.deb /opt/package; mv /opt/package/usr/lib/lbapp /usr/lib/lbapp")
        machine.shell("ln -s /usr/lib/lbapp /opt/lbapp; mkdir -p /etc/lbapp")
        for step in steps("RUN"):
            machine.shell(step)
        (source,) = [step.split()[0] for step in steps("COPY") if step.startswith("conf/")]
        machine.write("/etc/lbapp/lbapp.toml", ROOT / source)
        keep = "; ".join(f"mount --bind {folder} {folder}" for folder in words(volumes))
        uid, gid = user.split(":")
        rights = f"setpriv --reuid={uid} --regid={gid} --clear-groups --bounding-set=-all --no-new-privs"
        start = " ".join(
            [
                "exec env PATH=/opt/lbapp/bin:$PATH HOME=/ PYTHONDONTWRITEBYTECODE=1",
                rights,
                *words(entry),
                *words(command),
            ]
        )
        script = f"mount --make-rprivate /; {keep}; mount -o remount,bind,ro /; {start}"
        engine = machine.start(log, "unshare", "--mount", "sh", "-ec", script)

        def serves() -> bool:
            assert engine.poll() is None, log.read_text()
            return "serving:" in log.read_text()

        wait_for(serves, 60)
        asked = json.loads(machine.shell(f"PATH=/opt/lbapp/bin:$PATH {rights} {' '.join(words(health))}"))
        assert asked["engine"]["phase"] == "serving"
        code = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/"
        wait_for(lambda: machine.shell(code) == "503")  # none of its servers is there, which checks find first
        machine.shell(f"kill -TERM {asked['engine']['pid']}")
        assert engine.wait(60) == 0, log.read_text()
        machine.run("test", "-e", "/run/lbapp/control.sock", fails=True)
        assert machine.run("find", "/var/lib/lbapp", "-type", "f", "-uid", uid)
