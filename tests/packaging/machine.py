"""A machine for installing packages: the files of this one, in namespaces of its own, where nothing that is written stays.

Its root is an overlay on this machine's, its devices, kernel settings and network are its own, and all of its processes end with
its first one. That is either one that does nothing, or systemd.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar, Self

from tests.system.harness import wait_for

_MAKE = """
set -e
mkdir -p "$1/upper" "$1/root"
mount -t tmpfs -o size=1g tmpfs "$1/upper"
mkdir "$1/upper/upper" "$1/upper/work"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper/upper,workdir=$1/upper/work" overlay "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys  # but for the network's, which is its own, they are this machine's
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
    mknod -m 666 "dev/${device%% *}" c ${device#* }
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
rm -rf var/lib/lbapp var/log/lbapp etc/lbapp
rm -f usr/sbin/policy-rc.d var/lib/man-db/auto-update  # what a tester's machine does not start, and minutes of indexing
ip link set lo up
"""
_BEGIN = """
echo made
exec chroot . env -i "PATH=$2" "container=lbapp-test" """
# Only what it takes to start units: none of the services that this machine has installed.
_MAKE_BOOT = """
mount -t cgroup2 cgroup2 sys/fs/cgroup
rm -f etc/fstab etc/systemd/system/*.wants/*
for wanted in multi-user sysinit timers; do
    find lib/systemd/system/$wanted.target.wants/ ! -type d \
        ! -name systemd-journald.service ! -name systemd-tmpfiles-setup.service -delete
done
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
"""
# By $container it knows that it is in one, and leaves hardware, clock and modules alone.
_BOOT = """setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio \
    /lib/systemd/systemd --system --unit=multi-user.target --show-status=0
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOUNTED = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_GROUPS = next((path for path in _MOUNTED if (path / "cgroup.controllers").exists()), None)


class Machine:
    """The machine, from entering the block until its end. `folder`: where it may keep its files, and tests theirs of it."""

    _apart: ClassVar[tuple[str, ...]] = ("--mount", "--net", "--pid", "--ipc", "--uts")
    _make, _first = "", "sleep infinity"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        script = ["sh", "-c", f"{_MAKE}{self._make}{_BEGIN}{self._first}", "sh", str(self.folder), _PATH]
        # It ends with the test's own process, however that ends.
        alone = ["setpriv", "--pdeathsig", "KILL", "unshare", *self._apart, "--fork", "--kill-child"]
        made = [*self._entering(), *alone, *script]
        self._init = subprocess.Popen(made, stdout=subprocess.PIPE)
        assert self._init.stdout is not None
        assert self._init.stdout.readline() == b"made\n", "the machine cannot be made"
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        self._pid = children[0]  # the first process of its process namespace
        return self

    def __exit__(self, *_: object) -> None:
        self._init.kill()
        for process in [self._init, *self._started]:
            process.wait()
        assert self._init.stdout is not None
        self._init.stdout.close()

    def _entering(self) -> list[str]:
        """Return what its processes are to be started by."""
        return []

    def command(self, *words: str) -> list[str]:
        """Return what runs a command there."""
        inside = ["nsenter", "-t", self._pid, "-m", "-n", "-p", "-i", "-u", "-C", "-r", "-w", "--"]
        return [
            *inside,
            "env",
            "-i",
            f"PATH={_PATH}",
            "LC_ALL=C.UTF-8",
            "HOME=/root",
            "DEBIAN_FRONTEND=noninteractive",
            *words,
        ]

    def run(self, *words: str, fails: bool = False) -> str:
        """Run a command there and return what it prints. `fails`: whether it has to fail."""
        done = subprocess.run(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=100
        )
        assert (done.returncode != 0) is fails, f"{words}: {done.returncode}: {done.stdout}"
        return done.stdout

    def shell(self, script: str) -> str:
        """Run a script there, and return what it prints."""
        return self.run("sh", "-ec", script)

    def start(self, log: Path, *words: str) -> subprocess.Popen[bytes]:
        """Start a command there. Its output goes to a file of this machine."""
        with log.open("ab") as output:
            process = subprocess.Popen(self.command(*words), stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        self._started.append(process)
        return process

    def write(self, path: str, content: str | bytes | Path) -> None:
        """Write a file there, as root does: an old one keeps its owner and mode. A Path is a file of this machine."""
        if isinstance(content, Path):
            content = content.read_bytes()
        data = content.encode() if isinstance(content, str) else content
        subprocess.run(self.command("tee", path), input=data, stdout=subprocess.DEVNULL, check=True)


class BootedMachine(Machine):
    """A machine that systemd has booted, with none of its services but the journal."""

    _apart = (*Machine._apart, "--cgroup")
    _make, _first = _MAKE_BOOT, _BOOT

    def __enter__(self) -> Self:
        assert _GROUPS is not None
        self._group = Path(tempfile.mkdtemp(prefix="lbapp-test-", dir=_GROUPS))
        try:
            super().__enter__()
            wait_for(lambda: self._says("systemctl", "is-system-running") == "running")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *of_error: object) -> None:
        try:
            super().__exit__(*of_error)
        finally:
            wait_for(self._is_removed)

    def _entering(self) -> list[str]:
        return ["sh", "-ec", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(self._group)]

    def _is_removed(self) -> bool:
        """Remove its control groups; say whether that is done, which takes until its last process has gone."""
        try:
            for folder, _, _ in os.walk(self._group, topdown=False):
                Path(folder).rmdir()
        except OSError:
            return False
        return True

    def _says(self, *words: str) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def unit(self, name: str, *keys: str) -> dict[str, str]:
        """Return what systemd says of a unit."""
        lines = self.run("systemctl", "show", name, f"--property={','.join(keys)}").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def journal(self, unit: str, *options: str) -> str:
        """Return what a unit has said."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", *options)


def cannot_boot() -> str:
    """Return why this machine cannot have another one booted in it; empty: it can."""
    if not Path("/lib/systemd/systemd").exists() or shutil.which("unshare") is None:
        return "needs systemd and unshare: apt-get install systemd util-linux"
    if os.geteuid() != 0:
        return "booting systemd in namespaces needs root"
    if _GROUPS is None or not os.access(_GROUPS, os.W_OK):
        return "needs control groups of version 2, mounted where root may add to them"
    return ""
