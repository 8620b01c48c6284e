"""The Debian package on a machine that a real systemd has booted: each unit does its work under its own hardening."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.name_servers import NAME, SECRET, ZONE, NameServer, missing
from tests.packaging import package
from tests.packaging.machine import BootedMachine, cannot_boot
from tests.system.harness import wait_for
from tests.system.test_unit import EXPOSURE_MAX

pytestmark = [*package.can_be_installed, pytest.mark.skipif(bool(cannot_boot()), reason=cannot_boot() or "it can")]

_NET_BIND_SERVICE = 1 << 10
_OTHERS = ("lbapp-announce", "lbapp-dns", "lbapp-handoff")
_VIP = "198.51.100.10"
_ANNOUNCE = f"""
backend = "bird"
addresses = ["{_VIP}"]
hold_down = "0s"
[bgp]
router_id = "10.0.1.2"
asn = 64511
[[bgp.neighbor]]
address = "127.0.0.2"
asn = 64500
local_address = "127.0.0.1"
"""
_DNS = f"""
name = "{NAME}"
zone = "{ZONE}"
server = "127.0.0.1:%d"
addresses = ["192.0.2.11"]
records_min = 1
[key]
name = "lbapp"
secret_file = "/etc/lbapp/dns.key"
"""
_HANDOFF = f"""
node = "lb1"
addresses = ["{_VIP}"]
learn = "0s"
[[member]]
name = "lb1"
address = "10.77.1.2"
[[member]]
name = "lb2"
address = "10.77.2.2"
"""
_LOOK_UP = """
import sys, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], int(sys.argv[1])
try:
    print(*(resolver.resolve(sys.argv[2], raise_on_no_answer=False).rrset or []))
except dns.resolver.NXDOMAIN:  # there is no record of it yet
    pass
"""


def check_rights(machine: BootedMachine, pid: int) -> None:
    """Check that a process has the name of an engine, the rights of its unit and no other."""
    lines = machine.run("cat", f"/proc/{pid}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert status["Name"] == "lbapp"
    assert set(status["Uid"].split()) == {machine.run("id", "-u", "lbapp").strip()}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    for which in ("CapEff", "CapBnd", "CapAmb"):
        assert int(status[which], 16) == _NET_BIND_SERVICE, which


def check_upgrade(machine: BootedMachine, second: Path) -> None:
    """Check that an upgrade of the package fails no request, and that its engine is the unit's main process then."""
    machine.write("/opt/second.deb", second)
    before = package.pid_of(machine)
    with package.load(machine) as requests:
        machine.run("dpkg", "-i", "/opt/second.deb")
    assert (requests["failed"], bool(requests["done"])) == ([], True)
    assert package.pid_of(machine) != before
    wait_for(lambda: machine.unit("lbapp", "MainPID", "ActiveState", "NRestarts") == running(machine, restarts=0))
    check_rights(machine, package.pid_of(machine))


def check_crash(machine: BootedMachine) -> None:
    """Check that an engine that is killed is started anew on its own sockets, so that nobody is refused."""
    before, kept = package.pid_of(machine), machine.unit("lbapp", "NFileDescriptorStore")
    assert int(kept["NFileDescriptorStore"]) >= 2 * 2  # two addresses, two workers
    with package.load(machine) as requests:
        machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "lbapp")
        wait_for(lambda: machine.unit("lbapp", "MainPID", "ActiveState")["MainPID"] not in ("0", str(before)))
        wait_for(lambda: machine.unit("lbapp", "ActiveState")["ActiveState"] == "active")
    assert (requests["failed"], bool(requests["done"])) == ([], True)
    assert machine.unit("lbapp", "MainPID", "ActiveState", "NRestarts") == running(machine, restarts=1)
    wait_for(lambda: "ERROR worker" in machine.journal("lbapp", "--priority=err"))  # their supervisor is gone
    assert " INFO " not in machine.journal("lbapp", "--priority=warning", "--identifier=lbapp")
    wait_for(lambda: machine.unit("lbapp", "NFileDescriptorStore") == kept)
    check_rights(machine, package.pid_of(machine))


def running(machine: BootedMachine, restarts: int) -> dict[str, str]:
    return {"MainPID": str(package.pid_of(machine)), "ActiveState": "active", "NRestarts": str(restarts)}


def check_stop(machine: BootedMachine, answer: Path) -> None:
    """Check that a stop refuses who comes and finishes what is there."""
    client = machine.start(answer, "curl", "-s", "http://127.0.0.1/held")

    def in_flight() -> int:
        status = json.loads(machine.run("lbapp", "status", "--json"))
        return int(status["pools"][0]["servers"][0]["in_flight"])

    wait_for(lambda: in_flight() == 1)
    machine.run("systemctl", "stop", "--no-block", "lbapp")
    wait_for(lambda: "node_draining" in machine.journal("lbapp").rpartition("serving:")[2])
    assert "Couldn't connect" in machine.run("curl", "-sS", "http://127.0.0.1/", fails=True)
    assert client.poll() is None
    machine.run("curl", "-s", "http://127.0.0.1:9001/release")
    assert client.wait(30) == 0
    assert answer.read_text() == "hello"
    stopped = {"ActiveState": "inactive", "Result": "success"}
    wait_for(lambda: machine.unit("lbapp", "ActiveState", "Result") == stopped)


def test_engine_is_installed_serves_is_upgraded_crashes_and_stops_under_systemd(tmp_path: Path) -> None:
    with BootedMachine(tmp_path / "machine") as machine:
        package.install(machine, package.build(tmp_path))
        assert machine.unit("lbapp", "MainPID", "ActiveState", "NRestarts") == running(machine, restarts=0)
        assert "INFO serving: web http 0.0.0.0:8080 -> app" in machine.journal("lbapp")
        assert machine.run("systemctl", "is-active", *_OTHERS, fails=True).split() == ["inactive"] * 3
        package.prepare(machine)
        machine.run("systemctl", "reload", "lbapp")
        package.check_serves(machine)
        check_rights(machine, package.pid_of(machine))
        assert "as it was" in machine.run("setpriv", "--reuid=lbapp", "--clear-groups", "lbapp", "ready", "app/s1")
        package.check_rotation(machine)
        check_upgrade(machine, package.build(tmp_path, "--version", "9.0-1"))
        check_crash(machine)
        check_stop(machine, tmp_path / "answer")
        package.check_removed(machine)
        assert machine.run("systemctl", "list-unit-files", "lbapp*", "--no-legend", fails=True) == ""


def check_closed(machine: BootedMachine) -> None:
    """Check that each unit is, as systemd sees it, as closed as its file promises."""
    for unit, most in EXPOSURE_MAX.items():
        said = machine.run("systemd-analyze", "security", "--no-pager", unit)
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
        assert found, said
        assert float(found[1]) <= most, said


def check_without_file(machine: BootedMachine, unit: str) -> None:
    """Check that a unit whose file is not there does not start, and says so."""
    file = f"/etc/lbapp/{unit.removeprefix('lbapp-')}.toml"
    machine.run("systemctl", "start", unit, fails=True)
    assert f"{file}: cannot be read: No such file or directory" in machine.journal(unit)
    machine.run("systemctl", "stop", unit)


def check_announcer(machine: BootedMachine) -> None:
    """Check that BIRD is told, also to withdraw: on a stop, and when the announcer is killed together with its warden."""
    machine.write("/etc/lbapp/announce.toml", _ANNOUNCE)
    machine.shell(f"ip address add {_VIP}/32 dev lo")
    machine.shell("lbapp announce -c /etc/lbapp/announce.toml --print bird >/etc/bird/bird.conf; systemctl start bird")

    def is_announced() -> bool:
        protocols = machine.run("birdc", "show", "protocols")
        return bool(re.search(r"^lbapp_vip_\S+ +Static +\S+ +up", protocols, re.MULTILINE))

    before = machine.unit("lbapp-announce", "NRestarts")["NRestarts"]
    machine.run("systemctl", "start", "lbapp-announce")
    wait_for(is_announced)
    machine.run("systemctl", "kill", "--signal=KILL", "lbapp-announce")
    wait_for(lambda: f"withdrawn: {_VIP}" in machine.journal("lbapp-announce"))  # what ExecStopPost says
    wait_for(lambda: machine.unit("lbapp-announce", "NRestarts")["NRestarts"] != before)
    wait_for(is_announced)
    machine.run("systemctl", "stop", "lbapp-announce")
    assert not is_announced()
    assert machine.unit("lbapp-announce", "Result") == {"Result": "success"}


def check_records(machine: BootedMachine) -> None:
    """Check that records are published with a key that only the unit's group may read."""
    server = NameServer("knot", machine.folder / "knot")
    machine.shell("mkdir -p /opt/knot")
    for name in ("conf", "lb.test.zone"):
        machine.write(
            f"/opt/knot/{name}", (machine.folder / "knot" / name).read_text().replace(str(machine.folder), "/opt")
        )
    machine.start(machine.folder / "knot.log", "knotd", "-c", "/opt/knot/conf")
    machine.write("/etc/lbapp/dns.toml", _DNS % server.port)
    machine.write("/etc/lbapp/dns.key", SECRET)
    machine.shell("chgrp lbapp /etc/lbapp/dns.key; chmod 640 /etc/lbapp/dns.key")
    machine.run("systemctl", "start", "lbapp-dns")
    look_up = ["/usr/lib/lbapp/bin/python", "-c", _LOOK_UP, str(server.port), NAME]
    wait_for(lambda: machine.run(*look_up) == "192.0.2.11\n")
    machine.run("systemctl", "stop", "lbapp-dns")
    assert machine.unit("lbapp-dns", "Result") == {"Result": "success"}


def check_handoff(machine: BootedMachine) -> None:
    """Check that the ring is made, made anew, and taken away."""
    machine.write("/etc/lbapp/handoff.toml", _HANDOFF)
    machine.shell("ip address add 10.77.1.2/32 dev lo")
    machine.run("systemctl", "start", "lbapp-handoff")
    for _ in range(2):
        assert "lbapp-hop1" in machine.run("ip", "-brief", "link")
        assert "table ip lbapp_handoff" in machine.run("nft", "list", "tables")
        machine.run("systemctl", "reload", "lbapp-handoff")
    machine.run("systemctl", "stop", "lbapp-handoff")
    assert machine.unit("lbapp-handoff", "Result") == {"Result": "success"}
    assert "lbapp" not in machine.run("ip", "-brief", "link") + machine.run("nft", "list", "tables")


def check_doctor(machine: BootedMachine) -> None:
    """Check that the doctor judges by what the unit and its user may do, whoever asks."""
    said = machine.run("lbapp", "doctor")
    assert "OK   user: lbapp, as in the unit" in said
    assert "BAD" not in said
    machine.shell("chmod 600 /etc/lbapp/app.pem")
    assert "BAD  file /etc/lbapp/app.pem: lbapp may not read it" in machine.run("lbapp", "doctor", fails=True)
    machine.shell("chmod 640 /etc/lbapp/app.pem; systemctl stop lbapp")
    said = machine.run("setpriv", "--reuid=lbapp", "--regid=lbapp", "--init-groups", "lbapp", "doctor")
    assert (
        "WARN listen on 127.0.0.1:80: permission denied" in said
    )  # the unit may, and this process cannot tell if it is taken
    assert "BAD" not in said
    machine.shell("sed -i '/^workers/a state_dir = \"/srv/lbapp\"' /etc/lbapp/lbapp.toml")
    assert "BAD  state_dir: /srv/lbapp: read-only to the unit" in machine.run("lbapp", "doctor", fails=True)


@pytest.mark.skipif(shutil.which("bird", path="/usr/sbin") is None, reason="needs bird2: apt-get install bird2")
@pytest.mark.skipif(bool(missing("knot")), reason=missing("knot") or "it is there")
def test_units_beside_the_engine_do_their_work_under_their_hardening_and_say_when_they_cannot(tmp_path: Path) -> None:
    with BootedMachine(tmp_path / "machine") as machine:
        package.install(machine, package.build(tmp_path))
        package.prepare(machine)
        machine.run("systemctl", "reload", "lbapp")
        package.check_serves(machine)
        check_closed(machine)
        for unit in _OTHERS:
            check_without_file(machine, unit)
        check_announcer(machine)
        check_records(machine)
        check_handoff(machine)
        check_doctor(machine)
