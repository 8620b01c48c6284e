"""A machine for installing packages: the files of this one, in namespaces of its own, where nothing that is written stays.

Its root is an overlay on this machine's, its network is its own loopback, and all of its processes end with its first one.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

_MAKE = """
set -e
mkdir -p "$1/upper" "$1/work" "$1/root"
mount -t tmpfs -o size=1g tmpfs "$1/upper"
mkdir "$1/upper/upper" "$1/upper/work"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper/upper,workdir=$1/upper/work" overlay "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
rm -rf var/lib/lbapp var/log/lbapp etc/lbapp
ip link set lo up
echo made
exec chroot . sleep infinity
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """The machine, from entering the block until its end. `folder`: where it may keep its files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        apart = ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
        made = ["unshare", *apart, "sh", "-c", _MAKE, "sh", str(self._folder)]
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

    def command(self, *words: str) -> list[str]:
        """Return what runs a command there."""
        inside = ["nsenter", "-t", self._pid, "-m", "-n", "-p", "-i", "-u", "-r", "-w", "--"]
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
