"""One benchmark run from start to end.

Responsible for the temporary folder, the backends, the peers that could be started, and sentences about those
that could not. Knows nothing of what is measured. Invariant: whatever a session started is gone when its
block is left.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.bench.backends import BODY, SERVERS, Backends, start_backends
from tests.bench.options import Options
from tests.bench.peers import PEERS, Front, Running
from tests.bench.process import HOST, BenchError, raise_open_files
from tests.bench.table import machine_facts
from tests.tls_material import Authority

ANSWER_TIMEOUT_S = 10.0


@dataclass(slots=True)
class Session:
    """What a benchmark measures with. `problems` are sentences about missing and broken peers."""

    folder: Path
    backends: Backends
    peers: list[Running]
    facts: dict[str, str]
    problems: list[str] = field(default_factory=list)
    has_failed: bool = False

    def fail(self, sentence: str) -> None:
        """Note something that makes the run a failure."""
        self.has_failed = True
        self.problems.append(sentence)

    def finish(self) -> int:
        """Print the problems; return the exit status."""
        for problem in self.problems:
            print(f"! {problem}", file=sys.stderr)
        return 1 if self.has_failed or not self.peers else 0

    def interleave(self, rounds: int) -> Iterator[tuple[int, Running]]:
        """Yield every peer once a round, in another order each round, so that none always meets one noise."""
        for number in range(rounds):
            order = list(self.peers)
            random.Random(number).shuffle(order)
            for peer in order:
                print(f"  round {number + 1} of {rounds}: {peer.name}", file=sys.stderr)
                yield number, peer


@contextmanager
def open_session(
    options: Options, fronts: Sequence[str], names: Sequence[str], bulk_bytes: int = 0
) -> Iterator[Session]:
    """Start backends and the named peers with `fronts` (http, exposed, tcp, tls, upload).

    A peer that is missing becomes a problem, one that does not start or answers wrongly a failure.
    """
    raise_open_files()
    with tempfile.TemporaryDirectory(prefix="lbapp-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        backends = start_backends(stack, folder / "backends", bulk_bytes, sink="upload" in fronts)
        wanted = [_front(front, backends, folder) for front in fronts]
        session = Session(folder, backends, [], {})
        versions = {}
        for peer in (PEERS[name] for name in names):
            if peer.missing:
                session.problems.append(peer.missing)
                if peer.name in options.only:
                    session.has_failed = True
                continue
            try:
                running = peer.start(stack, folder, wanted)
                _check_answer(running)
            except BenchError as error:
                session.fail(str(error))
                continue
            session.peers.append(running)
            versions[peer.name] = peer.version()
        session.facts = machine_facts(versions)
        yield session


def _front(name: str, backends: Backends, folder: Path) -> Front:
    protocol = "tcp" if name == "tcp" else "http"
    certificate = _certificate(folder) if name == "tls" else None
    return Front(
        name, protocol, backends.sinks if name == "upload" else backends.servers, certificate, name == "exposed"
    )


def _certificate(folder: Path) -> Path:
    """Make a certificate, and put it into one file with its key."""
    pair = Authority().issue("shop.example.com", HOST)
    path = folder / "tls.pem"
    path.touch(0o600)
    path.write_bytes(pair.certificate + pair.key)
    return path


def _check_answer(running: Running) -> None:
    """Make sure that a proxy passes on the right body before anything is measured. Raises BenchError."""
    port = running.ports.get("http") or running.ports["exposed"]
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while _ask(port)[0] != HTTPStatus.OK and time.monotonic() < deadline:
        time.sleep(0.05)  # Traefik accepts before it has read its routes.
    for _ in range(2 * SERVERS):
        status, body = _ask(port)
        if status != HTTPStatus.OK or body != BODY:
            raise BenchError(f"{running.name} answers {status} with {len(body)} bytes, not the right body")


def _ask(port: int) -> tuple[int, bytes]:
    """Return status and body of one GET; status 0 when there is no answer."""
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", "/check?with=query", headers={"Accept": "text/plain"})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()
