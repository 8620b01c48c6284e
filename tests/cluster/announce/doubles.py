"""Stand-ins with real sockets and processes: an engine, a BIRD, an ExaBGP. Real daemons: tests/system/cluster."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from lbapp.model.announce import AnnounceSettings, BgpSettings, Neighbor, RouteBackend

VIP4, VIP6 = "198.51.100.10", "2001:db8:77::10"
NEIGHBOR = Neighbor("10.77.1.1", 64500, "10.77.1.2", "fd77:1::2")


def settings(backend: RouteBackend = RouteBackend.BIRD, **more: Any) -> AnnounceSettings:
    """Return settings that decide within a fifth of a second."""
    quick: dict[str, Any] = {"rise": 2, "fall": 2, "interval_s": 0.1, "fast_interval_s": 0.05, "hold_down_s": 0.0}
    bgp = BgpSettings("10.77.1.2", 64511, (NEIGHBOR,), bfd=backend is RouteBackend.BIRD)
    return AnnounceSettings(backend, (VIP4, VIP6), **{**quick, "bgp": bgp, **more})


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    owner: object = None

    def __init__(self, path: str, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(path, handler)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        self._open.discard(request)
        super().close_request(request)

    def end_all(self) -> None:
        """End the connections that are open, as the end of a process does."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(path: Path, handler: type[socketserver.BaseRequestHandler], owner: object) -> Iterator[None]:
    """Serve a Unix socket until the block ends; the handler finds its owner at `server.owner`."""
    path.unlink(missing_ok=True)
    with _UnixServer(str(path), handler) as server:
        server.owner = owner
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.end_all()
            thread.join(10)
            path.unlink(missing_ok=True)


class EngineDouble:
    """Answers /v1/ready as it is told, keeps the reports, and gives events. `reasons` empty: ready."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reasons: list[str] = []
        self.drain: dict[str, Any] | None = None
        self.refuses_reports = False
        self.nonsense: tuple[int, bytes] | None = None  # what it answers to everything instead
        self.reports: list[dict[str, Any]] = []
        self.asked = 0
        self.event = threading.Event()  # one event, to whoever follows

    @contextmanager
    def running(self) -> Iterator[EngineDouble]:
        with serving(self.path, _EngineHandler, self):
            yield self

    def begin_drain(self, step: str | None = None) -> None:
        self.reasons = ["the node drains"]
        self.drain = {"phase": "draining", **({} if step is None else {"step": step})}

    def end_drain(self) -> None:
        self.reasons, self.drain = [], None

    @property
    def states(self) -> list[str]:
        return [report["state"] for report in self.reports]


class _EngineHandler(BaseHTTPRequestHandler):
    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own signature
        pass

    @property
    def _engine(self) -> EngineDouble:
        engine = self.server.owner  # type: ignore[attr-defined]
        assert isinstance(engine, EngineDouble)
        return engine

    def do_GET(self) -> None:
        engine = self._engine
        if engine.nonsense is not None:
            self._send(*engine.nonsense)
        elif self.path.startswith("/v1/ready"):
            engine.asked += 1
            answer: dict[str, Any] = {
                "ready": not engine.reasons,
                "reasons": engine.reasons,
                "at": 0,
                "drain": engine.drain,
            }
            if engine.reasons:
                answer["error"] = {"code": "not_ready", "message": "; ".join(engine.reasons), "hint": ""}
            self._answer(503 if engine.reasons else 200, answer)
        elif "follow=1" in self.path:
            self.send_response(200)
            self.end_headers()
            if engine.event.wait(20):
                self.wfile.write(b'{"seq": 8}\n')
        else:
            self._answer(200, {"events": [{"seq": 7}]})

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._engine.refuses_reports:
            self._answer(422, {"error": {"code": "invalid_body", "message": "no such field", "hint": ""}})
            return
        self._engine.reports.append(body)
        self._answer(200, {"accepted": True})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class BirdDouble:
    """Speaks BIRD's control protocol over protocols that may be switched."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self.path = path
        self.up = dict.fromkeys(names, False)
        self.session, self.bfd = "Established", "Up"
        self.has_bfd = True
        self.commands: list[str] = []
        self.listeners: list[BufferedIOBase] = []

    @contextmanager
    def running(self) -> Iterator[BirdDouble]:
        with serving(self.path, _BirdHandler, self):
            yield self

    def configure(self) -> None:
        """Do what `birdc configure` does: the file has all protocols disabled."""
        self.up = dict.fromkeys(self.up, False)
        for each in self.listeners:
            each.write(b"+Reconfiguring\n+Reconfigured\n")

    def _session_rows(self) -> str:
        state = "up" if self.session == "Established" else "start"
        return (
            f"1002-lbapp_router_1 BGP        ---        {state}    00:44:57.678  {self.session}   \n"
            f"1006-  BGP state:          {self.session}\n     Neighbor address: 10.77.1.1\n     Neighbor AS:      64500\n \n"
        )

    def answer(self, command: str) -> str:
        if command == "show protocols all":
            rows = "".join(
                f"1002-{name} Static     master4    {'up' if is_up else 'down'}   00:44:57.678  \n1006-  Channel ipv4\n"
                f"     State:          {'UP' if is_up else 'DOWN'}\n \n"
                for name, is_up in self.up.items()
            )
            head = "2002-Name       Proto      Table      State  Since         Info\n"
            bfd = "1002-lbapp_bfd  BFD        ---        up     00:44:57.678  \n1006-  \n" if self.has_bfd else ""
            return f"{head}{rows}{bfd}{self._session_rows()}0000 \n"
        if command == "show bfd sessions" and not self.has_bfd:
            return "9001 There is no BFD protocol running\n"
        if command == "show bfd sessions":
            head = "1020-lbapp_bfd:\n IP address                Interface  State      Since         Interval  Timeout\n"
            return f"{head} 10.77.1.1                 up0        {self.bfd}         00:44:57.679    0.100    0.300\n0000 \n"
        word, _, name = command.partition(" ")
        named = [each for each in self.up if fnmatchcase(each, name.strip('"'))]
        if word in ("enable", "disable") and named:
            self.commands.append(command)
            code, already = ("0011", "0010") if word == "enable" else ("0009", "0008")
            other = [each for each in named if self.up[each] is not (word == "enable")]
            self.up |= dict.fromkeys(named, word == "enable")
            said = [
                f"{code}-{each}: {word}d" if each in other else f"{already}-{each}: already {word}d" for each in named
            ]
            return "\n".join([*said, "0000 ", ""])
        return "9001 syntax error, unexpected CF_SYM_UNDEFINED\n"


class _BirdHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        bird = self.server.owner  # type: ignore[attr-defined]
        assert isinstance(bird, BirdDouble)
        self.wfile.write(b"0001 BIRD 2.0.12 ready.\n")
        for line in self.rfile:
            if line == b"echo all\n":
                bird.listeners.append(self.wfile)
                self.wfile.write(b"0000 \n")
            else:
                self.wfile.write(bird.answer(line.decode().strip()).encode())


_EXABGP = '''#!{python}
"""Runs its helper as ExaBGP does, writes down what it is told, and answers it. Ends when the file `end` is there.

While the file `silent` is there it writes down what it is told, and answers when the file is gone."""
import os, re, select, signal, subprocess, sys, time

folder = os.path.dirname(os.path.abspath(__file__))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
text = open(sys.argv[2]).read()
run = re.search(r"run (.*);", text)[1].split()
while True:
    helper = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    with open(folder + "/helpers", "a") as file:
        file.write(str(helper.pid) + chr(10))
    state = '{{"type": "state", "neighbor": {{"address": {{"local": "10.77.1.2", "peer": "10.77.1.1"}}, "state": "up"}}}}'
    helper.stdin.write(state.encode() + b"\\n")
    helper.stdin.flush()
    while True:
        if os.path.exists(folder + "/end"):
            sys.exit(3)
        if not select.select([helper.stdout], [], [], 0.02)[0]:
            continue
        line = helper.stdout.readline()
        if not line:
            break
        with open(folder + "/told", "ab") as file:
            file.write(line)
        while os.path.exists(folder + "/silent"):
            time.sleep(0.02)
        try:
            helper.stdin.write(b"error\\n" if os.path.exists(folder + "/refuse") else b"done\\n")
        except BrokenPipeError:
            pass  # the helper was killed
    helper.wait()
'''


def exabgp_double(folder: Path) -> Path:
    """Write a program that stands in for ExaBGP; return it. What its helper told it is the file `told` beside it."""
    file = folder / "exabgp"
    file.write_text(_EXABGP.format(python=sys.executable))
    file.chmod(0o755)
    return file
