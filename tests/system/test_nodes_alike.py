"""Two real engines on one configuration, its lists in another order on each: the same clients get the same servers.

Each engine has another PYTHONHASHSEED, and workers of its own.
"""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system.harness import NO_CHECK, Engine, lbapp, running_engine, servers, wait_for

pytestmark = pytest.mark.system

NAMES = tuple(f"s{number}" for number in range(1, 8))
WEIGHTS = {name: 20 * number for number, name in enumerate(NAMES, 1)}
POOLS = {
    "address": 'algorithm = "ip_hash"\n',
    "field": 'algorithm = "hash"\n[pool.hash]\nkey = "header"\nname = "X-User"\n',
    "highest": 'algorithm = "rendezvous"\n[pool.hash]\nkey = "path"\n',
    "kept-address": 'algorithm = "round_robin"\n[pool.persistence]\ntype = "ip"\nipv6_prefix = 64\n',
    "kept-field": 'algorithm = "least_connections"\n[pool.persistence]\ntype = "header"\nheader = "X-User"\n',
    "kept-cookie": 'algorithm = "round_robin"\n[pool.persistence]\ntype = "cookie"\nkeys_file = "{keys}"\n',
}
ROUTES = "".join(f'[[listener.route]]\npath = "/{pool}/"\npool = "{pool}"\n' for pool in POOLS)
SPLIT = {"blue": 30, "green": 70}
CLIENTS = [f"198.51.100.{number}" for number in range(1, 40)] + [f"2001:db8:{number:x}::7" for number in range(1, 40)]


def toml(ports: dict[str, int], keys: Path, seed: int) -> str:
    """Return the configuration, its pools, servers and shares in an order of their own."""
    order = random.Random(seed)
    shares = ", ".join(
        f'{{ pool = "{pool}", weight = {SPLIT[pool]} }}' for pool in order.sample(list(SPLIT), len(SPLIT))
    )
    listener = (
        '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "address"\n'
        f'[listener.forwarding]\ntrusted_proxies = ["127.0.0.0/8"]\n{ROUTES}'
        f'[[listener.route]]\npath = "/split/"\nsplit = [{shares}]\n'
    )
    pools = []
    for name in order.sample(list(POOLS), len(POOLS)):
        table = POOLS[name].replace("{keys}", str(keys))
        members = "".join(
            f'[[pool.server]]\nname = "{each}"\naddress = "127.0.0.1:{ports[each]}"\nweight = {WEIGHTS[each]}\n'
            for each in order.sample(NAMES, len(NAMES))
        )
        pools.append(f'[[pool]]\nname = "{name}"\n{table}{NO_CHECK}{members}')
    for name, server in (("blue", "s1"), ("green", "s2")):
        pools.append(
            f'[[pool]]\nname = "{name}"\n{NO_CHECK}[[pool.server]]\nname = "{server}"\naddress = "127.0.0.1:{ports[server]}"\n'
        )
    return listener + "".join(pools)


class Client:
    """One kept connection, over which a trusted proxy would bring many clients."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=20)

    def close(self) -> None:
        self._connection.close()

    def ask(self, pool: str, client: str, cookie: str = "") -> tuple[str, str]:
        """Return the server that answered, and the cookie that came with it."""
        fields = f"X-Forwarded-For: {client}\r\nX-User: user of {client}\r\n"
        if cookie:
            fields += f"Cookie: lbapp_server={cookie}\r\n"
        self._connection.sendall(f"GET /{pool}/{client} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.partition(b"\r\n\r\n")[2]:
            piece = self._connection.recv(4096)
            assert piece, answer
            answer += piece
        head, _, body = answer.decode().partition("\r\n\r\n")
        found = re.search(r"lbapp_server=([^;]+)", head)
        return body, found[1] if found else ""


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Engine]]:
    with ExitStack() as stack:
        ports = stack.enter_context(servers(*NAMES))
        engines = []
        for number in (1, 2):
            folder = tmp_path / f"node{number}"
            folder.mkdir()
            keys = folder / "keys"
            # In the midst of an exchange: both know both keys, and only the second node signs with the new one yet.
            lines = ["2026-11 a-secret-of-long-ago", "2026-12 a-secret-of-today"]
            keys.write_text("\n".join(lines if number == 1 else reversed(lines)))
            keys.chmod(0o600)
            monkeypatch.setenv("PYTHONHASHSEED", str(number))
            engines.append(stack.enter_context(running_engine(folder, toml(ports, keys, number))))
        yield engines


def owners(engine: Engine, pools: list[str]) -> dict[tuple[str, str], str]:
    client = Client(engine.port())
    try:
        return {(pool, each): client.ask(pool, each)[0] for pool in pools for each in CLIENTS}
    finally:
        client.close()


def test_engines_with_shuffled_files_give_the_same_clients_the_same_servers(nodes: list[Engine]) -> None:
    one, two = nodes
    hashing = [pool for pool in (*POOLS, "split") if pool != "kept-cookie"]
    here = owners(one, hashing)
    assert owners(two, hashing) == here
    for pool in hashing:
        assert len({server for (asked, _), server in here.items() if asked == pool}) == (2 if pool == "split" else 7)
    for engine in (one, two):
        assert lbapp(engine, "maint", "*/s4").returncode == 0
        assert lbapp(engine, "weight", "address/s7", "10").returncode == 0

    def settled(engine: Engine) -> dict[tuple[str, str], str]:
        """As a table of another weight is built beside the traffic, by each worker for itself."""
        return wait_for(lambda: found if (found := owners(engine, ["address"])) == owners(engine, ["address"]) else {})

    assert settled(one) == settled(two)
    changed = [pool for pool in hashing if pool not in ("split", "address")]
    after = owners(one, changed)
    assert owners(two, changed) == after
    assert "s4" not in after.values()
    assert all(server == here[who] for who, server in after.items() if here[who] != "s4")


def test_client_is_one_whether_it_is_written_as_ipv4_or_mapped_into_ipv6(nodes: list[Engine]) -> None:
    one, two = nodes
    plain, mapped = Client(one.port()), Client(two.port())
    try:
        for pool in ("address", "kept-address"):
            for each in CLIENTS[:39]:
                assert plain.ask(pool, each)[0] == mapped.ask(pool, f"::ffff:{each}")[0]
    finally:
        plain.close()
        mapped.close()


def test_cookie_of_one_engine_is_understood_by_another_while_keys_are_exchanged(nodes: list[Engine]) -> None:
    one, two = nodes
    first, second = Client(one.port()), Client(two.port())
    try:
        given = {each: first.ask("kept-cookie", each) for each in CLIENTS}
        assert len({server for server, _ in given.values()}) == 7
        for each, (server, cookie) in given.items():
            again, renewed = second.ask("kept-cookie", each, cookie)
            assert again == server
            assert renewed not in ("", cookie)  # by the new key
            assert first.ask("kept-cookie", each, renewed)[0] == server
    finally:
        first.close()
        second.close()
