from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.cluster.lab import PORT, VIP4, VIP6, Lab, missing
from tests.system.harness import wait_for

pytestmark = pytest.mark.skipif(bool(missing("nft", "bridge")), reason=missing("nft", "bridge") or "-")

# Sends a request, waits for a file, then sends a body of many full segments on the same connection. A reset is an error.
_UPLOAD = """
import http.client, pathlib, sys, time
address, port, ready, go = sys.argv[1:]
connection = http.client.HTTPConnection(address, int(port), timeout=20)
connection.request("GET", "/"); first = connection.getresponse().read()
pathlib.Path(ready).touch()
while not pathlib.Path(go).exists(): time.sleep(0.01)
connection.auto_open = 0
connection.request("POST", "/", b"y" * 500_000); print(first == connection.getresponse().read())
"""

# Makes two connections from one port, of which the server ends the first; the second asks once more when it is told to.
_AGAIN = """
import pathlib, socket, sys, time
address, port, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
def reached(step):
    (folder / f"{step}.reached").touch()
    while not (folder / f"{step}.go").exists(): time.sleep(0.01)
def connected(): return socket.create_connection((address, port), 20, source_address=("", 39999))
def ask(connection, more=""):
    connection.sendall(f"GET / HTTP/1.1\\r\\nHost: h\\r\\n{more}\\r\\n".encode())
    print(connection.recv(4000)[-2:].decode())
first = connected(); ask(first, "Connection: close\\r\\n"); assert first.recv(1) == b""; first.close(); reached("over")
second = connected(); ask(second); reached("again"); ask(second)
"""

# Sends one segment of a connection that nobody has, and says what comes back.
_STRAY = """
import socket, struct, sys
address, port = sys.argv[1], int(sys.argv[2])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP); raw.settimeout(10)
def summed(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data)); total = (total & 65535) + (total >> 16)
    return ~((total & 65535) + (total >> 16)) & 65535
def segment(check): return struct.pack("!HHIIBBHHH", 40999, port, 1000, 2000, 5 << 4, 0x10, 1000, check, 0)
pseudo = socket.inet_aton("10.77.0.2") + socket.inet_aton(address) + struct.pack("!BBH", 0, 6, 20)
raw.sendto(segment(summed(pseudo + segment(0))), (address, port))
while True:
    answer = raw.recv(2000)[20:]
    if struct.unpack("!HH", answer[:4]) == (port, 40999): break
print("reset" if answer[13] & 4 else "something else")
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("handoff")) as made:
        send(made, *made.nodes)
        made.start_engines()
        yield made


@pytest.fixture
def lab(network: Lab) -> Iterator[Lab]:
    send(network, *network.nodes)
    yield network
    for node in network.nodes:
        handoff(network, "down", node)


def send(lab: Lab, *nodes: str) -> None:
    """Have the router spread clients over these nodes, as its routing protocol would.

    By a group, which is replaced at one stroke: of an IPv6 route with several ways one is taken out and put in after the other.
    """
    for version, vip, via in ((4, f"{VIP4}/32", "10.77.{}.2"), (6, f"{VIP6}/128", "fd77:{}::2")):
        ids = []
        for number in (int(node.removeprefix("n")) for node in nodes):
            ids.append(f"{version}{number}")
            way = f"nexthop replace id {ids[-1]} via {via.format(number)} dev r-n{number}"
            lab.run("router", "ip", f"-{version}", *way.split())
        lab.run("router", "ip", *f"nexthop replace id {version} group {'/'.join(ids)}".split())
        lab.run("router", "ip", f"-{version}", *f"route replace {vip} nhid {version}".split())


def ring_file(lab: Lab, node: str, learn: str) -> Path:
    text = f'node = "{node}"\naddresses = ["{VIP4}", "{VIP6}"]\nlearn = "{learn}"\n'
    for number, name in enumerate(lab.nodes, 1):
        text += f'[[member]]\nname = "{name}"\naddress = "10.77.{number}.2"\n'
    path = lab.folder / f"{node}.handoff.toml"
    path.write_text(text)
    return path


def handoff(lab: Lab, verb: str, node: str, *more: str, learn: str = "0s") -> str:
    path = ring_file(lab, node, learn)
    return lab.run(node, sys.executable, "-m", "lbapp", "handoff", verb, "-c", str(path), *more)


def status_of_what_is_wrong(lab: Lab, path: Path, *more: str) -> tuple[str, str]:
    """Ask the first node for the status of a ring that it does not have as it should; return what it says, and what is wrong."""
    said = lab.folder / "status"
    words = " ".join((sys.executable, "-m", "lbapp", "handoff", "status", "-c", str(path), *more))
    lab.shell("n1", f"code=0; {words} >{said} 2>{said}.wrong || code=$?; test $code = 1")
    return said.read_text(), Path(f"{said}.wrong").read_text()


def make_ring(lab: Lab, learn: str = "0s") -> None:
    for node in lab.nodes:
        handoff(lab, "up", node, learn=learn)


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_connections_outlive_routes_that_move_and_end_without_the_ring(lab: Lab, address: str) -> None:
    client = lab.client()
    client.begin_flows(60, address)
    send(lab, "n1", "n2")
    wait_for(lambda: client.flows().broken)
    client.end_flows()

    make_ring(lab)
    for nodes in (("n1", "n2"), ("n2", "n3"), ("n1",), ("n3",)):
        send(lab, *lab.nodes)
        client.begin_flows(60, address)
        send(lab, *nodes)
        flows = client.end_flows()
        assert (flows.broken, flows.moved) == ({}, 0), nodes
        assert len(flows.born) == 3
    status = json.loads(handoff(lab, "status", "n1", "--json"))
    assert status["is_up"]
    assert sum(status["handed"].values()) > 0


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_full_segments_are_handed_on_over_a_way_that_is_no_wider(lab: Lab, address: str, tmp_path: Path) -> None:
    make_ring(lab)
    for only, away in (("n1", "n2"), ("n1", "n3")):  # one hop, and two
        ready, go, said = tmp_path / f"{away}.ready", tmp_path / f"{away}.go", tmp_path / f"{away}.said"
        send(lab, away)
        upload = lab.start(
            "client", sys.executable, "-c", _UPLOAD, address, str(PORT), str(ready), str(go), log=str(said)
        )
        wait_for(ready.exists)
        send(lab, only)
        go.touch()
        upload.wait(30)
        assert said.read_text() == "True\n"


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_what_is_over_at_one_node_does_not_keep_the_same_port_of_a_client_from_the_node_that_has_it_now(
    lab: Lab, address: str, tmp_path: Path
) -> None:
    make_ring(lab)
    send(lab, "n1")
    said = tmp_path / "said"
    client = lab.start("client", sys.executable, "-c", _AGAIN, address, str(PORT), str(tmp_path), log=str(said))
    for step, node in (("over", "n2"), ("again", "n1")):
        wait_for((tmp_path / f"{step}.reached").exists)
        send(lab, node)
        (tmp_path / f"{step}.go").touch()
    assert client.wait(30) == 0, said.read_text()
    assert said.read_text().split() == ["n1", "n2", "n2"]


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_what_somebody_has_left_out_of_connection_tracking_is_served_here(lab: Lab, address: str) -> None:
    make_ring(lab)
    send(lab, "n1")
    untracked = "chain c { type filter hook prerouting priority raw; tcp dport 8080 notrack; };"
    lab.run("n1", "nft", f"table inet untracked {{ {untracked} }}")
    try:
        assert lab.client().spread(20, address) == {"n1": 20}
    finally:
        lab.run("n1", "nft", "delete table inet untracked")


def test_a_ring_made_while_clients_are_connected_learns_them_first(lab: Lab) -> None:
    client = lab.client()
    client.begin_flows(40)
    make_ring(lab, learn="1s")
    send(lab, "n3")
    flows = client.end_flows()
    assert (flows.broken, flows.moved) == ({}, 0)
    assert len(flows.born) == 3


def test_a_ring_made_anew_ends_no_connection_that_is_handed_on(lab: Lab) -> None:
    make_ring(lab)
    client = lab.client()
    client.begin_flows(30)
    send(lab, "n2")
    make_ring(lab)
    flows = client.end_flows()
    assert (flows.broken, flows.moved) == ({}, 0)


@pytest.mark.parametrize("nodes", [("n1",), ("n2", "n3")])
def test_what_no_node_knows_is_reset_after_the_last_hop(lab: Lab, nodes: tuple[str, ...]) -> None:
    make_ring(lab)
    send(lab, *nodes)
    assert lab.run("client", sys.executable, "-c", _STRAY, VIP4, str(PORT)) == "reset\n"
    found = [json.loads(handoff(lab, "status", node, "--json")) for node in lab.nodes]
    assert sum(each["unknown"] for each in found) == 1
    assert [sum(each["handed"].get(hop, 0) for each in found) for hop in ("1", "2")] == [1, 1]


@pytest.mark.parametrize("address", ["10.77.1.2", VIP4, VIP6])
def test_a_stranger_cannot_put_packets_into_the_ring(lab: Lab, address: str) -> None:
    make_ring(lab)
    send(lab, "n1")
    kind = "AF_INET6" if ":" in address else "AF_INET"
    packet = f"bytes((8, 0, 0, 0)) + (7741).to_bytes(3, 'big') + bytes(1) + bytes(60), ('{address}', 4789)"
    lab.run("client", sys.executable, "-c", f"import socket as s; s.socket(s.{kind}, s.SOCK_DGRAM).sendto({packet})")
    wait_for(lambda: "counter packets 1 " in lab.run("n1", "nft", "list", "table", "inet", "lbapp_handoff"))


def test_an_address_of_another_version_that_comes_later_is_handed_on_as_well(lab: Lab) -> None:
    for node in lab.nodes:
        path = ring_file(lab, node, "0s")
        path.write_text(path.read_text().replace(f', "{VIP6}"', ""))
        lab.run(node, sys.executable, "-m", "lbapp", "handoff", "up", "-c", str(path))
    make_ring(lab)
    client = lab.client()
    client.begin_flows(30, VIP6)
    send(lab, "n3")
    flows = client.end_flows()
    assert (flows.broken, flows.moved) == ({}, 0)
    assert len(flows.born) > 1


def test_nothing_is_left_of_a_ring_that_is_taken_away(lab: Lab) -> None:
    make_ring(lab)
    assert "lbapp_handoff" in lab.run("n1", "nft", "list", "tables")
    for _ in range(2):
        assert handoff(lab, "down", "n1") == "nothing is handed on any more\n"
        assert lab.run("n1", "nft", "list", "tables") == ""
        assert "lbapp-hop" not in lab.run("n1", "ip", "link")
        assert lab.run("n1", "cat", "/proc/sys/net/netfilter/nf_conntrack_tcp_loose") == "1\n"
    path = ring_file(lab, "n1", "0s")
    what, do = f"the ring of {path} is not there on this node: nothing is handed on", f"lbapp handoff up -c {path}"
    assert status_of_what_is_wrong(lab, path) == ("", f"lbapp: {what}. Make it with: {do}\n")
    assert json.loads(status_of_what_is_wrong(lab, path, "--json")[0])["is_up"] is False


def test_status_fails_and_says_what_somebody_else_has_damaged(lab: Lab) -> None:
    make_ring(lab)
    assert json.loads(handoff(lab, "status", "n1", "--json"))["is_whole"]
    lab.shell(
        "n1",
        "ip link del lbapp-hop2; ip link set lbapp-hop1 down; ip link set lbapp-hop1 address 02:6c:62:01:00:09;"
        "nft delete table ip6 lbapp_handoff; cd /proc/sys/net;"
        "echo 0 >ipv4/conf/lbapp-hop1/rp_filter; echo 1 >netfilter/nf_conntrack_tcp_loose",
    )
    path = ring_file(lab, "n1", "0s")
    said, wrong = status_of_what_is_wrong(lab, path)
    anew = ": make the ring anew with lbapp handoff up"
    assert [line.removesuffix(anew) for line in said.splitlines() if line.startswith("!")] == [
        "! lbapp-hop2 is not there",
        "! table ip6 lbapp_handoff is not there",
        "! lbapp-hop1 is down",
        "! lbapp-hop1 is that of another ring",
        "! net.ipv4.conf.lbapp-hop1.rp_filter is 0, not 2: something else has set it",
        "! net.netfilter.nf_conntrack_tcp_loose is 1, not 0: something else has set it",
    ]
    what = f"the ring of {path} is not whole on this node: connections may end when routes move"
    assert wrong == f"lbapp: {what}. Make it anew with: lbapp handoff up -c {path}\n"
    handoff(lab, "up", "n1")
    assert "!" not in handoff(lab, "status", "n1")
