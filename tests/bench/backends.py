"""The servers that every proxy stands in front of.

Responsible for one nginx process (one worker) with several server blocks that answer any path with the same 1
KiB and nine headers, and one large file by sendfile; and for the sink that takes uploads. Knows nothing of
proxies.

Invariant: every proxy meets the same backends, and none of them ends a keep-alive connection during a run.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import HOST, BenchError, Program, free_port, raise_open_files

BODY = b"0123456789abcdef" * 64
BULK_PATH = "/bulk.bin"
UPLOAD_PATH = "/upload"  # answered only once the whole body is there
SERVERS = 4

NGINX_OUTER = """{user}
daemon off;
master_process on;
worker_processes {workers};
worker_rlimit_nofile {open_files};
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    server_tokens off;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
{inner}
}}
"""

_SERVER = """
    server {{
        listen {host}:{port} backlog=4096;
        root {folder}/files;
        sendfile on;
        sendfile_max_chunk 2m;
        default_type "text/plain; charset=utf-8";
        location = {bulk} {{ }}
        location = {upload} {{ client_max_body_size 0; proxy_pass http://{host}:{port}/; }}
        location / {{
            add_header Cache-Control "private, max-age=0";
            add_header Vary "Accept-Encoding, Cookie";
            add_header X-Content-Type-Options "nosniff";
            add_header X-Backend "{port}";
            return 200 "{body}";
        }}
    }}"""


@dataclass(frozen=True, slots=True)
class Backends:
    """Ports of the servers that answer and of the sinks that take uploads."""

    servers: tuple[int, ...]
    sinks: tuple[int, ...]


def nginx_program() -> str:
    """Return the path of nginx. Raises BenchError when it is missing."""
    program = shutil.which("nginx")
    if program is None:
        raise BenchError("nginx is not installed: apt-get install nginx-core")
    return program


def nginx_configuration(folder: Path, inner: str, connections: int, workers: int = 1) -> str:
    """Return a whole nginx.conf around the contents of its `http` block."""
    # As root, nginx would drop its worker to a user who may not enter the temporary folder.
    user = "user root;" if os.geteuid() == 0 else ""
    settings = {"connections": connections, "open_files": raise_open_files(), "workers": workers}
    return NGINX_OUTER.format(user=user, folder=folder, inner=inner, **settings)


def start_backends(stack: ExitStack, folder: Path, bulk_bytes: int = 0, sink: bool = False) -> Backends:
    """Start nginx, with a file of `bulk_bytes` at BULK_PATH, and a sink if asked; `stack` stops both."""
    files = folder / "files"
    files.mkdir(parents=True)
    if bulk_bytes:
        _write_bulk(files / BULK_PATH.lstrip("/"), bulk_bytes)
    ports = tuple(free_port() for _ in range(SERVERS))
    paths = {"bulk": BULK_PATH, "upload": UPLOAD_PATH}
    blocks = [_SERVER.format(host=HOST, port=port, folder=folder, body=BODY.decode(), **paths) for port in ports]
    configuration = folder / "nginx.conf"
    configuration.write_text(nginx_configuration(folder, "".join(blocks), connections=20_000))
    command = [nginx_program(), "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
    stack.enter_context(Program("the nginx backend", command, folder)).wait_for_port(ports[-1])
    sinks = (_start_sink(stack, folder / "sink"),) if sink else ()
    return Backends(ports, sinks)


def _start_sink(stack: ExitStack, folder: Path) -> int:
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.sink", str(port)]
    stack.enter_context(Program("the upload sink", command, folder)).wait_for_port(port)
    return port


def _write_bulk(path: Path, size: int) -> None:
    # Random, so that a lost, doubled or moved piece changes the checksum.
    piece = os.urandom(1 << 20)
    with path.open("wb") as file:
        for number in range(0, size, len(piece)):
            start = (number >> 20) % 4_096
            file.write((piece[start:] + piece[:start])[: size - number])
