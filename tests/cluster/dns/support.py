"""Settings, fleets and an engine to ask, for the tests of `lbapp dns`.

Responsible for an engine that answers what a test has it say, by real HTTP on a real Unix socket, and keeps what it is told.
Knows nothing of DNS.
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from lbapp.control.fleet import DnsReport, FleetStatus, MemberStatus, StoreWord
from lbapp.model.dns import DnsSettings, TsigKey
from tests.name_servers import NAME, SECRET, ZONE


def settings(*addresses: str, node: str = "lb1", **more: Any) -> DnsSettings:
    """Return settings for the zone of the tests; `port`: of its server."""
    key = TsigKey("lbapp", base64.b64decode(SECRET))
    server = ("127.0.0.1", more.pop("port", 53))
    values: dict[str, Any] = {"server": server, "zone": ZONE, "name": NAME, "key": key, "node": node}
    return DnsSettings(addresses=addresses or ("192.0.2.1",), **{**values, **more})


def member(name: str, *, is_alive: bool = True) -> MemberStatus:
    return {
        "name": name,
        "is_self": False,
        "is_alive": is_alive,
        "seen_at": 0.0,
        "version": "",
        "started_at": 0.0,
        "host": name,
        "state": None,
        "share": None,
    }


def fleet_status(
    *alive: str,
    dead: Sequence[str] = (),
    unsure: Sequence[str] = (),
    state: StoreWord = "synced",
    fleet: str = "web",
    node: str = "lb1",
) -> FleetStatus:
    """Return what an engine says of a fleet."""
    members = [member(name) for name in alive] + [member(name, is_alive=False) for name in dead]
    members += [{**member(name, is_alive=False), "is_unsure": True} for name in unsure]
    return {
        "fleet": fleet,
        "node": node,
        "state": state,
        "problem": "",
        "age_s": 0.0,
        "members": members,
        "intents": [],
        "configuration": None,
    }


class StandInEngine:
    """Answers `/v1/ready` and `/v1/fleet`, and keeps the reports. `body` in place of an answer is sent as it is, with 200."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_ready = True
        self.reasons: list[str] = []
        self.fleet: FleetStatus = fleet_status(state="off", fleet="")
        self.body: bytes | None = None
        self.asked: list[float] = []  # when it was asked whether it is ready
        self._reports: list[DnsReport] = []

    def report(self) -> DnsReport | None:
        """Return the last report."""
        return self._reports[-1] if self._reports else None

    def says(self, key: str, otherwise: Any = "nothing") -> Any:
        """Return what the last report says, `otherwise` before the first."""
        return self._reports[-1].get(key) if self._reports else otherwise

    def answer(self, path: str) -> tuple[int, object]:
        if path == "/v1/ready":
            self.asked.append(time.monotonic())
            ready = {"ready": self.is_ready, "reasons": self.reasons, "at": time.time(), "drain": None}
            if self.is_ready:
                return 200, ready
            error = {"code": "not_ready", "message": "; ".join(self.reasons), "hint": ""}
            return 503, {**ready, "error": error}
        if path == "/v1/fleet":
            return 200, self.fleet
        return 404, {"error": {"code": "not_found", "message": "there is no such thing", "hint": ""}}

    def take(self, path: str, body: Any) -> tuple[int, object]:
        assert path == "/v1/reports/dns", path
        self._reports.append(body)
        return 200, {}

    @contextmanager
    def running(self) -> Iterator[StandInEngine]:
        """Answer on the socket until the block ends; then it is gone."""
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(*engine.answer(self.path))

            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._send(*engine.take(self.path, body))

            def _send(self, status: int, answer: object) -> None:
                data = json.dumps(answer).encode()
                if engine.body is not None:
                    status, data = 200, engine.body
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def address_string(self) -> str:
                return "a Unix socket"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
                """Say nothing."""

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

        server = Server(str(self.path), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join(10)
            server.server_close()
            self.path.unlink()
