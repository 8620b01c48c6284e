"""The configuration of the demo's engine.

Responsible for the TOML text. Knows nothing of processes. Invariant: every address is on loopback and every port is
one that the system chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HEAD: Final = """\
[engine]
workers = 2
state_dir = "STATE_DIR"

[limits]
stop_timeout = "1s"

[[listener]]
name = "web"
bind = "127.0.0.1:0"
pool = "app"

[[listener.route]]
path = "/api/"
pool = "api"

[[listener]]
name = "echo"
bind = "127.0.0.1:0"
protocol = "tcp"
pool = "echo"
"""
_HTTP_CHECK: Final = 'type = "http"\npath = "/healthz"\ninterval = "1s"\ntimeout = "500ms"\nfall = 2\n'
_TCP_CHECK: Final = 'type = "tcp"\ninterval = "2s"\n'


def configuration(ports: Mapping[str, int], state_dir: str) -> str:
    """Return the TOML for servers on these ports, by name. `state_dir`: a folder of the demo's own."""
    return "".join(
        (
            _HEAD.replace("STATE_DIR", state_dir),
            _pool("app", "least_connections", _HTTP_CHECK),
            *(_server(name, ports[name]) for name in ("fast", "medium", "slow", "moody")),
            _pool("api", "weighted_round_robin", _HTTP_CHECK),
            _server("fast", ports["fast"], weight=200),
            _server("medium", ports["medium"], weight=100),
            _pool("echo", "round_robin", _TCP_CHECK),
            *(_server(name, ports[name]) for name in ("echo-1", "echo-2")),
        )
    )


def _pool(name: str, algorithm: str, check: str) -> str:
    return f'\n[[pool]]\nname = "{name}"\nalgorithm = "{algorithm}"\n\n[pool.health_check]\n{check}'


def _server(name: str, port: int, weight: int = 100) -> str:
    return f'\n[[pool.server]]\nname = "{name}"\naddress = "127.0.0.1:{port}"\nweight = {weight}\n'
