"""The same vectors through lbapp, HAProxy and nginx: every difference, and why it is one.

Responsible for running the peers with a recorder each and for the table of differences. Knows nothing of what is right: that is
in the vectors. Invariant: a difference without a reason is shown as such, and a test does not let it pass.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tests.bench.process import free_port
from tests.fuzz.engine import Proxy, running_lbapp
from tests.fuzz.judging import OWN_DOING, Result
from tests.fuzz.recorder import Recorder
from tests.fuzz.vectors import VECTORS, Vector
from tests.fuzz.vectors.reasons import reason_for

PAGE_START = "<!-- differences -->"
PAGE_END = "<!-- end of differences -->"

_HAPROXY = """
global
    maxconn 200
    nbthread 1
defaults
    mode http
    timeout connect 300ms
    timeout client 300ms
    timeout server 300ms
    http-reuse always
frontend web
    bind 127.0.0.1:{port}
    default_backend app
backend app
    option forwardfor
    server one 127.0.0.1:{server}
"""
_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 200; }}
http {{
    access_log off;
    client_header_timeout 300ms; client_body_timeout 300ms; keepalive_timeout 300ms;
    lingering_close off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream app {{ server 127.0.0.1:{server} max_fails=0; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app; proxy_http_version 1.1; proxy_read_timeout 300ms; proxy_request_buffering off;
            proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""


@dataclass
class Difference:
    """What a peer made of a vector that lbapp made something else of."""

    peer: str
    vector: Vector
    ours: str
    theirs: str
    reason: str


def missing() -> list[str]:
    """Return the peers that are not installed."""
    return [name for name in ("haproxy", "nginx") if _program(name) is None]


def compare(vectors: tuple[Vector, ...] = VECTORS) -> list[Difference]:
    """Run the vectors through all three."""
    differences = []
    with ExitStack() as stack:
        ours = stack.enter_context(running_lbapp())
        peers = {name: stack.enter_context(_running(name)) for name in ("haproxy", "nginx")}
        with ThreadPoolExecutor(len(peers)) as threads:  # each peer has a recorder of its own
            theirs_of = {name: threads.submit(_verdicts, peer, vectors) for name, peer in peers.items()}
        mine_of = _verdicts(ours, vectors)
        for vector in vectors:
            mine = mine_of[vector.name]
            for name in peers:
                theirs = theirs_of[name].result()[vector.name]
                if theirs != mine:
                    differences.append(Difference(name, vector, mine, theirs, reason_for(name, vector, mine, theirs)))
    return differences


def _verdicts(proxy: Proxy, vectors: tuple[Vector, ...]) -> dict[str, str]:
    return {vector.name: _verdict(proxy.run(vector)) for vector in vectors}


def report(differences: list[Difference]) -> str:
    """Return the differences as a table in Markdown, those of one reason together."""
    by_reason: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    for difference in differences:
        by_reason[difference.peer, difference.reason].append(difference)
    lines = [f"{len(VECTORS)} vectors; {len(differences)} differences."]
    for peer in ("haproxy", "nginx"):
        lines += ["", f"### {peer}", "", "| vector | lbapp | " + peer + " | why |", "|---|---|---|---|"]
        for (name, reason), group in sorted(by_reason.items(), key=lambda item: (item[0][0], -len(item[1]))):
            if name == peer:
                lines += [f"| {_cell(each.vector.name)} | {each.ours} | {each.theirs} | {reason} |" for each in group]
    return "\n".join(lines)


def write_into(page: str, text: str) -> None:
    """Replace what stands between the marks of a page."""
    path = Path(page)
    before, _, rest = path.read_text().partition(PAGE_START)
    path.write_text(f"{before}{PAGE_START}\n{text}\n{PAGE_END}{rest.partition(PAGE_END)[2]}")


def _cell(name: str) -> str:
    short = name if len(name) <= 60 else name[:57] + "..."
    return short.replace("|", "\\|")


def _verdict(result: Result) -> str:
    """Return what came of it, coarse enough that a peer's own choice among 4xx is no difference."""
    words = []
    for answer in result.answers:
        status = answer.status
        words.append("4xx" if 400 <= status < 500 else "5xx" if status >= 500 else str(status))
    text = " ".join(words) or "nothing"
    return f"{text}{', cut' if result.is_cut else ''}, {result.seen} seen{', unsound' if set(result.poison) - OWN_DOING else ''}"


def _program(name: str) -> str | None:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


@contextmanager
def _running(name: str) -> Iterator[Proxy]:
    recorder, port = Recorder(), free_port()
    program = _program(name)
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.conf")
        template = _HAPROXY if name == "haproxy" else _NGINX
        path.write_text(template.format(port=port, server=recorder.port, folder=folder))
        options = ["-db", "-f", str(path)] if name == "haproxy" else ["-e", f"{folder}/error.log", "-c", str(path)]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen([program, *options], stdout=log, stderr=log)
        try:
            _wait_for(port)
            yield Proxy(("127.0.0.1", port), recorder, patience_s=0.6)
        finally:
            process.kill()
            process.wait()
            recorder.close()


def _wait_for(port: int) -> None:
    deadline = monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if monotonic() > deadline:
                raise
            sleep(0.02)
        else:
            return
