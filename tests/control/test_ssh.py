"""What a host on the other side of ssh is called, and what cannot be reached there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.control.ssh import Host, Link
from lbapp.model.errors import EngineUnreachable


@pytest.mark.parametrize(
    ("text", "host", "arguments"),
    [
        ("ssh://lb1", Host("lb1"), ["--", "lb1"]),
        ("lb1", Host("lb1"), ["--", "lb1"]),
        ("alice@lb1", Host("lb1", "alice"), ["-l", "alice", "--", "lb1"]),
        ("ssh://alice@lb1:2222/", Host("lb1", "alice", 2222), ["-l", "alice", "-p", "2222", "--", "lb1"]),
        ("ssh://lb1/run/x%20y.sock", Host("lb1", socket="/run/x y.sock"), ["--", "lb1"]),
        ("ssh://[fe80::1%25eth0]:22", Host("fe80::1%eth0", port=22), ["-p", "22", "--", "fe80::1%eth0"]),
        ("ssh://[::1]", Host("::1"), ["--", "::1"]),
        ("ssh://Lb1@LB1", Host("LB1", "Lb1"), ["-l", "Lb1", "--", "LB1"]),
    ],
)
def test_host_is_read_and_handed_to_ssh(text: str, host: Host, arguments: list[str]) -> None:
    assert Host.parse(text) == host
    assert host.arguments == arguments
    assert Host.parse(str(host)) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://lb1",
        "ssh://",
        "ssh://-oProxyCommand=x",
        "ssh://-l@lb1",
        "ssh://lb1:port",
        "ssh://lb1:99999",
        "ssh://lb1/a:b",
        "ssh://lb1/a%0Ab",
        "ssh://lb1/${HOME}",
        "ssh://lb1/%25h",
        "ssh://al;ice@lb1",
        "ssh://lb1?x",
        "ssh://alice:secret@lb1",
    ],
)
def test_what_is_no_host_is_refused_in_a_sentence_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match=r".{20}") as refused:
        Host.parse(text)
    assert "secret" not in str(refused.value)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_where_sockets_would_not_fit_the_folder_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with Link(Host("lb1")) as link:
        assert len(str(link.socket)) < 80
        assert link.socket.parent.stat().st_mode & 0o777 == 0o700
    assert not link.socket.parent.exists()


def test_without_an_ssh_it_is_said_and_nothing_is_left_behind(
    tmp_path: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_folder))
    with Link(Host("lb1")) as link, pytest.raises(EngineUnreachable, match="there is no ssh here"):
        link.open()
    assert list(short_folder.iterdir()) == []
