"""A network of one test's own: client - router - nodes, in network namespaces, with real daemons and real engines in them.

`with Lab(folder) as lab` makes a user namespace (no test has to be root, and none can touch the machine's network) and in it
`client`, `router`, `n1`, `n2`, `n3`. Each node is joined to the router by a wire of its own, has both VIPs on its loopback, and
names itself in its answers. What a test starts ends with the lab; processes have their ordinary pids: a test may kill one.

    client 10.77.0.2  --  router 10.77.0.1   10.77.N.1  --  nN 10.77.N.2 (device up0)      and the same with fd77:N::
    c0                    r-c                r-nN

A client in the lab is `tests/system/cluster/client.py`: connections of the test's own process would be in another network.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.system.harness import NO_CHECK, Engine, engine_command, wait_for

VIP4: Final = "198.51.100.10"
VIP6: Final = "2001:db8:77::10"
PORT: Final = 8080
ROUTER_ASN: Final = 64500
NODE_ASN: Final = 64511
ROOT: Final = Path(__file__).parents[3]
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

_ROUTER: Final = """
log "{folder}/router.log" all;
router id 10.77.0.1;
protocol device {{ }}
protocol direct {{ ipv4; ipv6; }}
protocol kernel k4 {{ ipv4 {{ export where source = RTS_BGP; import none; }}; merge paths yes limit 16; }}
protocol kernel k6 {{ ipv6 {{ export where source = RTS_BGP; import none; }}; merge paths yes limit 16; }}
protocol bfd {{ interface "r-n*" {{ min rx interval 100 ms; min tx interval 100 ms; multiplier 3; }}; }}
template bgp lb {{
  local as {router_asn}; hold time 9; keepalive time 3; error wait time 1, 2; error forget time 5;
  connect delay time 1; connect retry time 1; graceful restart off;
  ipv4 {{ import keep filtered; import where net = {vip4}/32; import limit 32 action block; export none; }};
  ipv6 {{ import where net = {vip6}/128; import limit 32 action block; export none; }};
}}
"""
_NEIGHBOR: Final = (
    "protocol bgp lb{n} from lb {{ local 10.77.{n}.1 as {ours}; neighbor 10.77.{n}.2 as {theirs}; {bfd} }}\n"
)


def found(command: str) -> str | None:
    """Return where a command is; daemons often are in a folder that is not on everybody's PATH."""
    return shutil.which(command, path=_PATH)


@cache
def missing(*commands: str) -> str:
    """Return why a lab cannot be made here, or has not these commands, as one sentence; empty: it can."""
    absent = [each for each in ("ip", "nsenter", "unshare", *commands) if not found(each)]
    if absent:
        return f"not installed: {', '.join(absent)}"
    probe = ["unshare", "-Urnm", "sh", "-c", "mount -t tmpfs none /run && ip link add name x0 type veth peer name x1"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False, env={**os.environ, "PATH": _PATH})
    return f"no network namespaces for this user: {done.stderr.strip()}" if done.returncode else ""


@dataclass
class Flows:
    """What became of connections that were kept, by node that answered first; `broken`: how each ended that was not told to."""

    born: dict[str, int]
    broken: dict[str, list[str]]
    moved: int  # answered by another node than the first


@dataclass
class Probe:
    """What new connections met: when (seconds of the machine's monotonic clock), the node or the error, whether it was good.

    `lasted`: of each, from when to when (Unix seconds).
    """

    seen: list[tuple[float, str, bool]] = field(default_factory=list)
    lasted: list[tuple[float, float]] = field(default_factory=list)

    @property
    def failed(self) -> list[tuple[float, str]]:
        return [(at_s, what) for at_s, what, is_good in self.seen if not is_good]

    def failed_but_for(self, changes: list[float], late_s: float) -> list[str]:
        """Return the errors that are no reset of a connection which was open when a router's table changed.

        `changes`: when that was noted (Unix seconds), at most `late_s` after it was so. Of one client that connects anew each
        time a change explains one reset at most.
        """
        left, found = sorted(changes), []
        for (_, what, is_good), (began_at, ended_at) in zip(self.seen, self.lasted, strict=True):
            if is_good:
                continue
            change = next((each for each in left if began_at <= each <= ended_at + late_s), None)
            if change is None or "ConnectionResetError" not in what:
                found.append(what)
            else:
                left.remove(change)
        return found

    def since(self, at_s: float) -> Probe:
        kept = [index for index, each in enumerate(self.seen) if each[0] >= at_s]
        return Probe([self.seen[index] for index in kept], [self.lasted[index] for index in kept])

    @property
    def nodes(self) -> set[str]:
        return {what for _, what, is_good in self.seen if is_good}

    @property
    def gap_s(self) -> float:
        """The longest time from one good answer to the next."""
        good = [at_s for at_s, _, is_good in self.seen if is_good]
        return max((later - earlier for earlier, later in pairwise(good)), default=float("inf"))


class Client:
    """A process in the client's namespace that connects as it is told."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lock = threading.Lock()

    def _ask(self, **order: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def spread(self, count: int, address: str = VIP4, port: int = PORT) -> dict[str, int]:
        """Open so many connections, one request each; return how many each node answered. A failure is a name of its own."""
        return dict(self._ask(do="spread", count=count, address=address, port=port))

    def begin_flows(self, count: int, address: str = VIP4, port: int = PORT) -> None:
        """Open so many connections and send a request on each about every 100 ms; return when each was answered once."""
        self._ask(do="flows", count=count, address=address, port=port)

    def flows(self) -> Flows:
        """Return what has become of them so far."""
        return Flows(**self._ask(do="flows_now"))

    def end_flows(self) -> Flows:
        """Send one more request on each, close them, and return what became of them."""
        return Flows(**self._ask(do="flows_end"))

    def begin_probe(self, address: str = VIP4, port: int = PORT, timeout_s: float = 0.5, *, clients: int = 1) -> None:
        """Connect anew every 10 ms, as each of so many clients, until `end_probe`."""
        self._ask(do="probe", address=address, port=port, timeout_s=timeout_s, clients=clients)

    def probe(self) -> Probe:
        """Return what the probe has met so far."""
        return _probe_of(self._ask(do="probe_now"))

    def end_probe(self) -> Probe:
        """End it; return what it has met."""
        return _probe_of(self._ask(do="probe_end"))


def _probe_of(told: list[Any]) -> Probe:
    seen = [(at_s, what, is_good) for at_s, what, is_good, _, _ in told]
    return Probe(seen, [(began_at, ended_at) for *_, began_at, ended_at in told])


class Lab:
    """The network, and what runs in it. `nodes`: how many. `bfd`: whether the router speaks it."""

    def __init__(self, folder: Path, nodes: int = 3, *, bfd: bool = True) -> None:
        self.folder = folder
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self.bfd = bfd
        self._started: list[subprocess.Popen[bytes]] = []
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        ready = "mount -t tmpfs none /run && mkdir /run/netns && echo ready && exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "-Urnm", "--propagation", "private", "sh", "-c", ready],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self._environment(),
            start_new_session=True,
        )
        try:
            assert self._holder.stdout
            assert self._holder.stdout.readline() == b"ready\n"
            self._wire()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything that runs in it, the latest first, and the network with it."""
        for process in reversed(self._started):
            end(process)
        if self._holder is not None:
            end(self._holder)

    # -- processes -------------------------------------------------------------------------------------------------------

    def _inside(self, namespace: str | None, command: tuple[str, ...]) -> list[str]:
        assert self._holder is not None
        enter = ["nsenter", "--target", str(self._holder.pid), "--user", "--net", "--mount", "--preserve-credentials"]
        enter.append(f"--wd={self.folder}")
        return [*enter, *(("ip", "netns", "exec", namespace) if namespace else ()), *command]

    def _environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        libraries = ":".join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return {**os.environ, "PATH": _PATH, "PYTHONPATH": libraries, **(more or {})}

    def run(self, namespace: str | None, *command: str, timeout_s: float = 20.0) -> str:
        """Run a command to its end in a namespace (None: the one around them); return what it says. Fails where it fails."""
        done = subprocess.run(
            self._inside(namespace, command),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=self._environment(),
        )
        assert done.returncode == 0, f"{namespace}: {' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def shell(self, namespace: str | None, script: str) -> str:
        """Run lines of a shell in a namespace; the first that fails ends it, and the test."""
        return self.run(namespace, "sh", "-ec", script)

    def start(
        self, namespace: str, *command: str, log: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process in a namespace; its pid is the command's own. What it says goes to the file `log` of the folder."""
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(
                self._inside(namespace, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment(environment),
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def client(self) -> Client:
        """Start a client of the lab."""
        process = subprocess.Popen(
            self._inside("client", (sys.executable, "-m", "tests.system.cluster.client")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
            start_new_session=True,
        )
        self._started.append(process)
        return Client(process)

    # -- the network -----------------------------------------------------------------------------------------------------

    def _wire(self) -> None:
        lines = [f"netns add {name}" for name in ("client", "router", *self.nodes)]
        lines += ["link add c0 netns client type veth peer name r-c netns router"]
        lines += [f"link add up0 netns {node} type veth peer name r-{node} netns router" for node in self.nodes]
        self._batch(None, lines)
        self._configure("client", ["c0 10.77.0.2/24 fd77::2/64"], via="10.77.0.1 fd77::1")
        wires = [f"r-{node} 10.77.{number}.1/24 fd77:{number}::1/64" for number, node in enumerate(self.nodes, 1)]
        self._configure("router", ["r-c 10.77.0.1/24 fd77::1/64", *wires])
        forwarding = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"]
        # By addresses and ports, as a router of its own does: with policy 1 the kernel takes the hash that a client of the same
        # machine has given its packets, which is another one each time that it connects, also from the same port.
        hashing = [f"echo {value} >/proc/sys/net/ipv{version}/fib_multipath_hash_{name}"
                   for version in (4, 6) for name, value in (("policy", 3), ("fields", 0x37))]  # fmt: skip
        self.shell("router", "\n".join([*(f"echo 1 >/proc/sys/net/{each}" for each in forwarding), *hashing]))
        for number, node in enumerate(self.nodes, 1):
            addresses = [f"up0 10.77.{number}.2/24 fd77:{number}::2/64", f"lo {VIP4}/32 {VIP6}/128"]
            self._configure(node, addresses, via=f"10.77.{number}.1 fd77:{number}::1")

    def _configure(self, namespace: str, devices: list[str], via: str = "") -> None:
        # Without this an IPv6 address is of no use for its first second.
        self.shell(namespace, "for each in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 >$each; done")
        lines = ["link set lo up"]
        for each in devices:
            device, *addresses = each.split()
            lines += [f"link set {device} up"]
            lines += [f"addr add {address} dev {device}{' nodad' if ':' in address else ''}" for address in addresses]
        lines += [f"route add default via {gateway}" for gateway in via.split()]
        self._batch(namespace, lines)

    def _batch(self, namespace: str | None, lines: list[str]) -> None:
        script = self.folder / "ip.batch"
        script.write_text("\n".join(lines) + "\n")
        self.run(namespace, "ip", "-batch", str(script))

    def bridge(self, prefix: str) -> None:
        """Make one network of all wires, without a router: nodes are PREFIX11, PREFIX12 ..., the client PREFIX2.

        The VIPs are taken from the nodes' loopback, for whoever moves them; the client looks for them on its wire.
        """
        wires = ["r-c", *(f"r-{node}" for node in self.nodes)]
        lines = ["link add name br0 type bridge", "link set br0 up"]
        for wire in wires:
            lines += [f"addr flush dev {wire}", f"link set {wire} master br0"]
        self._batch("router", lines)
        addresses = [
            f"addr add {prefix}2/24 dev c0",
            f"route add {VIP4} dev c0 src {prefix}2",
            f"route add {VIP6} dev c0",
        ]
        self._batch("client", addresses)
        for number, node in enumerate(self.nodes, 11):
            vips = [f"addr del {VIP4}/32 dev lo", f"addr del {VIP6}/128 dev lo"]
            # IPv6 answers leave by the network that all share: the one of the wire has no router any more.
            lines = [f"addr add {prefix}{number}/24 dev up0", "route add fd77::/64 dev up0"]
            self._batch(node, vips + lines)

    def start_router(self) -> subprocess.Popen[bytes]:
        """Have the router speak BGP to every node."""
        text = _ROUTER.format(folder=self.folder, router_asn=ROUTER_ASN, vip4=VIP4, vip6=VIP6)
        bfd = "bfd on;" if self.bfd else ""
        for number in range(1, len(self.nodes) + 1):
            text += _NEIGHBOR.format(n=number, ours=ROUTER_ASN, theirs=NODE_ASN, bfd=bfd)
        return self.start_bird("router", text)

    def start_bird(self, namespace: str, text: str) -> subprocess.Popen[bytes]:
        """Start a BIRD with this configuration; its control socket is the file NAMESPACE.ctl of the folder."""
        configuration, control = self.folder / f"{namespace}.conf", self.folder / f"{namespace}.ctl"
        configuration.write_text(text)
        control.unlink(missing_ok=True)
        command = ("bird", "-f", "-c", str(configuration), "-s", str(control), "-P", f"{self.folder}/{namespace}.pid")
        process = self.start(namespace, *command, log=f"{namespace}.bird")
        wait_for(lambda: control.exists() or process.poll() is not None)
        assert process.poll() is None, (self.folder / f"{namespace}.bird").read_text()
        return process

    def birdc(self, namespace: str, command: str) -> str:
        """Ask the BIRD of a namespace."""
        return self.run(namespace, "birdc", "-s", str(self.folder / f"{namespace}.ctl"), command)

    def ways(self, address: str = VIP4) -> set[str]:
        """Return the nodes that the router sends packets for this address to."""
        family = "-6" if ":" in address else "-4"
        text = self.run("router", "ip", family, "-json", "route", "show", "root", address)
        devices = set()
        for route in json.loads(text or "[]"):
            for way in (route, *route.get("nexthops", ())):
                devices.add(way.get("dev", ""))
        return {device.removeprefix("r-") for device in devices if device.startswith("r-n")}

    def drop_all(self, node: str) -> None:
        """Have a node fall silent: nothing leaves and nothing arrives, and nobody is told."""
        rules = ["add table inet dark"]
        rules += [
            f"add chain inet dark {hook} {{ type filter hook {hook} priority 0; policy drop; }}"
            for hook in ("input", "output")
        ]
        script = self.folder / "dark.nft"
        script.write_text("\n".join(rules) + "\n")
        self.run(node, "nft", "-f", str(script))

    def undrop(self, node: str) -> None:
        """Have it speak again."""
        self.run(node, "nft", "delete table inet dark")

    # -- engines ---------------------------------------------------------------------------------------------------------

    def start_engines(self, nodes: list[str] | None = None, toml: str = "") -> dict[str, Engine]:
        """Start an engine on each node, in front of a server that answers with the node's name; `toml` is added to its file."""
        engines = {}
        for node in nodes or self.nodes:
            self.start(node, sys.executable, "-m", "tests.system.cluster.origin", node, log=f"{node}.origin")
            engines[node] = self.start_engine(node, toml)
        for engine in engines.values():
            self.wait_until_serving(engine)
        return engines

    def start_engine(self, node: str, toml: str = "") -> Engine:
        """Start the engine of a node, without waiting until it serves; its control socket is the file NODE/c.sock."""
        folder = self.folder / node
        folder.mkdir(exist_ok=True)
        text = f'[engine]\nworkers = 1\nstate_dir = "{folder}"\n{toml}'
        text += f'[[listener]]\nname = "web"\nbind = ["0.0.0.0:{PORT}", "[::]:{PORT}"]\npool = "app"\n'
        # No checks: nothing here is about servers, and on a busy machine one might fail.
        text += f'[[pool]]\nname = "app"\n{NO_CHECK}'
        text += '[[pool.server]]\nname = "s1"\naddress = "127.0.0.1:9001"\n'
        configuration, control, log = folder / "lbapp.toml", folder / "c.sock", self.folder / f"{node}.engine"
        configuration.write_text(text)
        log.write_bytes(b"")
        process = self.start(node, *engine_command(configuration, control), log=log.name)
        return Engine(process, control, log)

    def wait_until_serving(self, engine: Engine) -> None:
        """Wait until an engine serves; fail with its log when it does not."""
        wait_for(lambda: engine.process.poll() is not None or "serving:" in engine.log.read_text(), 30)
        assert engine.process.poll() is None, engine.log.read_text()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that a lab has started, and whatever it has started; at once."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@contextlib.contextmanager
def routed(folder: Path, nodes: int = 3, *, bfd: bool = True) -> Iterator[Lab]:
    """Make a lab whose router speaks BGP."""
    with Lab(folder, nodes, bfd=bfd) as lab:
        lab.start_router()
        yield lab
