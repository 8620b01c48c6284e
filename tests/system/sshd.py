"""A real SSH server on loopback, for whoever runs the tests, with keys of its own; and an `ssh` that trusts it.

`PATH` of `environment()` begins with an `ssh` that is the real one with a configuration of its own: what is tested calls plain
`ssh`, as operators do, and reads nobody's ~/.ssh.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.system.harness import free_port, wait_for

_SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""
_CLIENT = """
Host *
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""


@dataclass
class SshServer:
    """A server that lets `user` in. `folder`: keys, `config` (for `ssh -F`), `bin/ssh`, `sshd.log`."""

    port: int
    folder: Path
    user: str
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Return ssh://USER@HOST:PORT."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return this process's environment with the `ssh` that may come in."""
        return {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def links(self) -> list[psutil.Process]:
        """Return a process for each connection that is open, and those below them."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def cut(self) -> None:
        """End every connection, as when a network goes away; new ones may come."""
        for each in self.links():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

    def stop(self) -> None:
        """End the server and every connection."""
        self.process.send_signal(signal.SIGSTOP)  # it has no more children from now on than those that are found
        links = self.links()
        self.process.kill()
        self.process.wait()
        for each in links:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


@contextmanager
def ssh_server(folder: Path, port: int | None = None, extra: str = "") -> Iterator[SshServer]:
    """Run an SSH server until the block ends. `port`: that of an earlier one in this folder, which keeps its keys.

    `extra`: more lines of its configuration.
    """
    port = port or free_port()
    command = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert command, "the tests need sshd: sudo apt install openssh-server"
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd of Debian locks its children up
    if not (folder / "bin").exists():
        _prepare(folder, port, extra)
    log = (folder / "sshd.log").open("ab")
    process = subprocess.Popen([command, "-D", "-e", "-f", str(folder / "sshd_config")], stdout=log, stderr=log)
    server = SshServer(port, folder, getpass.getuser(), process)

    def listens() -> bool:
        assert process.poll() is None, (folder / "sshd.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5):
            return True
        return False

    try:
        wait_for(listens)
        yield server
    finally:
        if process.poll() is None:
            server.stop()
        log.close()


def _prepare(folder: Path, port: int, extra: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    kind, key, *_ = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    shutil.copyfile(folder / "key.pub", folder / "authorized_keys")
    (folder / "sshd_config").write_text(_SERVER.format(folder=folder, port=port) + extra)
    (folder / "config").write_text(_CLIENT.format(folder=folder))
    real = shutil.which("ssh")
    assert real, "the tests need ssh: sudo apt install openssh-client"
    (folder / "bin").mkdir()
    script = folder / "bin" / "ssh"
    script.write_text(f'#!/bin/sh\nexec {real} -F {folder}/config "$@"\n')
    script.chmod(0o755)
