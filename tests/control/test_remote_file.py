"""The configuration file on another machine, over a real ssh server on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from lbapp.control.config_file import FileChanged, LocalFile
from lbapp.control.remote_file import _NOT_WHOLE, _WRITE, RemoteFile
from lbapp.model.errors import LbappError
from lbapp.model.file_digest import file_digest
from tests.system.harness import free_port, wait_for

pytestmark = pytest.mark.system

OLD, NEW = "# old \u00fc\r\na = 1\n", "# new 'it' $HOME `x` \u20ac\n" * 50_000
UNUSUAL = 'it\'s "a" $(touch x) `touch y` \\ * ; -n \u00fc.toml'
PRIVILEGES = Path("/run/sshd")  # where the server leaves its privileges; a package's service makes it


@dataclass
class Server:
    """A running ssh server that lets the present user in with a key."""

    port: int
    folder: Path

    def file(self, path: str, *more: str) -> RemoteFile:
        options = (
            *more, "-F", "none", "-p", str(self.port), "-i", str(self.folder / "user"), "-o", "IdentitiesOnly=yes",
            "-o", f"UserKnownHostsFile={self.folder / 'known'}", "-o", "StrictHostKeyChecking=yes",
        )  # fmt: skip
        return RemoteFile(f"{getpass.getuser()}@127.0.0.1", path, options)


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        return connection.recv(4) == b"SSH-"
    return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'authorized'}\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nPubkeyAuthentication yes\n"
    )
    makes_folder = os.geteuid() == 0 and not PRIVILEGES.exists()
    if makes_folder:
        PRIVILEGES.mkdir(mode=0o755)
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, "scripts/test installs openssh-server"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([found, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log, stdout=log)
    try:
        wait_for(lambda: process.poll() is not None or _accepts(port))
        assert process.poll() is None, (folder / "log").read_text()
        yield Server(port, folder)
    finally:
        process.terminate()
        process.wait(20)
        if makes_folder:
            with suppress(OSError):  # another server's by now
                PRIVILEGES.rmdir()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / UNUSUAL
    path.write_bytes(OLD.encode())
    return path


def beside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_file_of_any_name_is_read_and_replaced_with_its_mode_and_its_link(server: Server, path: Path) -> None:
    link = path.with_name("link.toml")
    link.symlink_to(path.name)
    path.chmod(0o640)
    file = server.file(str(link))
    read = file.read()
    assert read == LocalFile(path).read()
    written = file.write(NEW, read)
    assert (path.read_bytes(), written, file.read()) == (NEW.encode(), written, written)
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert server.file(str(path)).read() == written
    assert beside(path) == sorted([UNUSUAL, "link.toml"])


def test_what_somebody_else_has_written_there_is_not_written_over(server: Server, path: Path) -> None:
    file = server.file(str(path))
    read = file.read()
    path.write_text("theirs")
    with pytest.raises(FileChanged, match="was changed by somebody else since it was read"):
        file.write(NEW, read)
    assert path.read_text() == "theirs"
    assert beside(path) == [UNUSUAL]


def test_what_cannot_be_read_or_written_there_is_a_sentence(server: Server, path: Path) -> None:
    read = server.file(str(path)).read()
    for name in ("none.toml", "none/lbapp.toml"):
        file = server.file(str(path.parent / name))
        with pytest.raises(LbappError, match="cannot be read: there is no such file"):
            file.read()
        with pytest.raises(LbappError, match="cannot be written: there is no such file"):
            file.write(NEW, read)
    with pytest.raises(LbappError, match=r"cannot be read: the account there cannot read it: .*Is a directory"):
        server.file(str(path.parent)).read()
    path.write_bytes(b"\xff")
    with pytest.raises(LbappError, match="is not UTF-8 text in line 1"):
        server.file(str(path)).read()


def test_host_that_ssh_does_not_get_into_is_said_with_what_has_to_work(server: Server, path: Path) -> None:
    stranger = server.folder / "nobody_knows"
    closed = free_port()
    for more, why in (
        (("-o", f"UserKnownHostsFile={stranger}"), "Host key verification failed"),
        (("-o", "PubkeyAuthentication=no"), "Permission denied"),
    ):
        with pytest.raises(LbappError, match=f"cannot be read: ssh failed: .*{why}.* without a question: ssh "):
            server.file(str(path), *more).read()
    gone = RemoteFile("127.0.0.1", str(path), ("-F", "none", "-p", str(closed)))
    with pytest.raises(LbappError, match=r"cannot be read: ssh failed: .*Connection refused"):
        gone.read()
    with pytest.raises(LbappError, match="Connection refused; look whether it was written all the same"):
        gone.write(NEW, LocalFile(path).read())
    assert path.read_bytes() == OLD.encode()


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch x", "a b", "a\n"])
def test_host_is_never_an_option(host: str) -> None:
    with pytest.raises(LbappError, match="is no host for ssh"):
        RemoteFile(host, "/etc/lbapp.toml")


@pytest.mark.parametrize("path", ["", "lbapp.toml", "/etc/a\nb"])
def test_path_is_a_whole_one(path: str) -> None:
    with pytest.raises(LbappError, match="is no path of a file there"):
        RemoteFile("lb1", path)


@pytest.mark.parametrize("limit", ["", "ulimit -f 100; "])
def test_text_that_does_not_get_there_whole_leaves_the_file_as_it_was(path: Path, limit: str) -> None:
    data = NEW.encode()
    sent = data if limit else data[:-1]
    command = ["sh", "-c", limit + _WRITE, "sh", str(path), file_digest(OLD.encode()), file_digest(data)]
    done = subprocess.run(command, input=sent, capture_output=True, check=False)
    assert done.returncode != 0
    assert limit or done.returncode == _NOT_WHOLE
    assert path.read_bytes() == OLD.encode()
    assert beside(path) == [UNUSUAL]
