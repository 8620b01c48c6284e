"""What the shell completes, from engines that answer well, badly, slowly and not at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from lbapp.cli.complete import ANSWER_TIMEOUT_S, complete_either, complete_pools, complete_servers
from lbapp.cli.context import Settings

_POOLS = {
    "pools": [
        {"name": "app", "servers": [{"id": "app/s1"}, {"id": "app/s2"}]},
        {"name": "api", "servers": [{"id": "api/a1"}]},
    ]
}
_NAMES = click.Argument(["servers"], nargs=-1)


def context(path: Path, *named: str, host: str | None = None) -> click.Context:
    made = click.Context(click.Command("drain"), obj=Settings(socket=path, host=host))
    made.params["servers"] = named
    return made


@contextmanager
def answering(path: Path, *parts: bytes, pause: threading.Event | None = None) -> Iterator[Path]:
    """Answer one connection with these bytes. `pause`: waited for before it is closed."""

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            for part in parts:
                connection.sendall(part)
            if pause is not None:
                pause.wait(60)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield path
        if pause is not None:
            pause.set()
        thread.join(20)


def good() -> bytes:
    return b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(_POOLS).encode()


def test_names_that_begin_so_are_offered_and_those_on_the_line_are_not_again(tmp_path: Path) -> None:
    with answering(tmp_path / "1", good()) as path:
        assert complete_pools(context(path), _NAMES, "ap") == ["app", "api"]
    with answering(tmp_path / "2", good()) as path:
        assert complete_servers(context(path, "app/s1"), _NAMES, "app/") == ["app/s2"]
    with answering(tmp_path / "3", good()) as path:
        assert complete_servers(context(path), _NAMES, "") == ["app/s1", "app/s2", "api/a1"]


def test_where_either_may_stand_servers_follow_once_their_pool_is_plain(tmp_path: Path) -> None:
    for name, begun, offered in (
        ("1", "a", ["app", "api"]),
        ("2", "app", ["app", "app/s1", "app/s2"]),
        ("3", "api/", ["api/a1"]),
    ):
        with answering(tmp_path / name, good()) as path:
            assert complete_either(context(path), _NAMES, begun) == offered


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 403 Forbidden\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\nno JSON", b"HTTP/1.1 200 OK\r\n\r\n[]",
     b'HTTP/1.1 200 OK\r\n\r\n{"pools": [{"name": 1, "servers": []}]}', b'HTTP/1.1 200 OK\r\n\r\n{"pools": 7}'],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_offers_nothing(answer: bytes, tmp_path: Path) -> None:
    with answering(tmp_path / "c", answer) as path:
        assert complete_servers(context(path), _NAMES, "") == []


def test_no_engine_and_another_host_offer_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete_servers(context(tmp_path / "none"), _NAMES, "") == []
    assert complete_servers(context(tmp_path / "none", host="ssh://a@b"), _NAMES, "") == []
    monkeypatch.setenv("LBAPP_HOST", "ssh://a@b")
    assert complete_pools(click.Context(click.Command("drain"), obj=Settings()), _NAMES, "") == []


def test_an_engine_that_never_ends_its_answer_is_given_up(tmp_path: Path) -> None:
    with answering(tmp_path / "c", good(), pause=threading.Event()) as path:
        began = time.monotonic()
        assert complete_servers(context(path), _NAMES, "") == []
        assert time.monotonic() - began >= ANSWER_TIMEOUT_S
