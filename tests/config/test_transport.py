"""Keys about connections: what they become, and the sentence for each that makes no sense."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from lbapp.config.load import parse_configuration
from lbapp.model.transport import ListenerTransport, PoolTransport, ProxyVersion, TcpOptions
from tests.config.test_load import problems

BINDS = '["127.0.0.1:80", "[::]:81", "unix:/run/x.sock"]'


def text(listener: str = "", pool: str = "", address: str = "127.0.0.1:1", bind: str = BINDS) -> str:
    return (
        f'[[listener]]\nname = "web"\nbind = {bind}\npool = "app"\n{listener}\n'
        f'[[pool]]\nname = "app"\n{pool}\n[[pool.server]]\nname = "s"\naddress = "{address}"\n'
    )


def test_nothing_said_is_what_is_safe_between_strangers() -> None:
    configuration = parse_configuration(text(), "f")
    assert configuration.listeners[0].transport == ListenerTransport()
    assert configuration.pools[0].transport == PoolTransport()
    assert ListenerTransport().upgrades == frozenset(("websocket",))
    assert not ListenerTransport().connect
    assert not ListenerTransport().unix_mode & 0o007


def test_every_key_reaches_its_place() -> None:
    listener = (
        'upgrade = ["WebSocket", "foo/2"]\nconnect = true\ntunnel_idle_timeout = "5m"\nproxy_protocol = true\n'
        'proxy_protocol_from = ["10.0.0.0/8", "::1", "unix:"]\nipv6_only = false\nunix_mode = "666"\nunix_user = "root"\n'
        'unix_group = "daemon"\ntcp = { fastopen = true, defer_accept = true, keepalive = false }'
    )
    pool = 'proxy_protocol = "v1"\nsource = "127.0.0.2"\ntcp = { keepalive_idle = "9s", user_timeout = "1s" }'
    configuration = parse_configuration(text(listener, pool), "f")
    assert configuration.listeners[0].transport == ListenerTransport(
        upgrades=frozenset(("websocket", "foo/2")),
        connect=True,
        tunnel_idle_timeout_s=300.0,
        proxy_protocol=True,
        proxy_protocol_from=(ip_network("10.0.0.0/8"), ip_network("::1/128")),
        trusts_unix=True,
        ipv6_only=False,
        unix_mode=0o666,
        unix_user="root",
        unix_group="daemon",
        fastopen=True,
        defer_accept=True,
        tcp=TcpOptions(keepalive=False),
    )
    options = TcpOptions(keepalive_idle_s=9.0, user_timeout_s=1.0)
    assert configuration.pools[0].transport == PoolTransport(ProxyVersion.V1, "127.0.0.2", options)


@pytest.mark.parametrize(("value", "upgrades"), [('"all"', None), ('"none"', frozenset()), ("[]", frozenset())])
def test_upgrades_may_be_all_or_none(value: str, upgrades: frozenset[str] | None) -> None:
    assert parse_configuration(text(f"upgrade = {value}"), "f").listeners[0].transport.upgrades == upgrades


def test_server_on_a_unix_socket_has_a_path_and_no_name_to_resolve() -> None:
    server = parse_configuration(text(address="unix:/run/app.sock"), "f").servers[0]
    assert (server.host, server.port, server.address) == ("/run/app.sock", 0, "unix:/run/app.sock")
    assert (server.is_unix, server.is_named, server.authority) == (True, False, "localhost")


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ('upgrade = "websocket"', 'upgrade: \'websocket\' is not accepted; allowed: "all", "none" or a list'),
        ('upgrade = ["web socket"]', "upgrade: a list is not accepted"),
        ('upgrade = ["h2c"]', "upgrade: 'h2c' can never be relayed"),
        ('connect = "yes"', "connect: 'yes' is not accepted; allowed: true or false"),
        ('proxy_protocol = "v2"', "proxy_protocol: 'v2' is not accepted; allowed: true or false"),
        ("proxy_protocol = true", "proxy_protocol: whose PROXY headers are believed has to be said"),
        ("proxy_protocol = true\nproxy_protocol_from = []", "proxy_protocol: whose PROXY headers are believed"),
        ('proxy_protocol_from = ["::/0"]', "proxy_protocol_from: it means nothing without proxy_protocol = true"),
        (
            'proxy_protocol = true\nproxy_protocol_from = ["10.0.0.1/8"]',
            "'10.0.0.1/8' is an address in a network; did you mean \"10.0.0.0/8\"?",
        ),
        ('proxy_protocol = true\nproxy_protocol_from = "10.0.0.0/8"', "allowed: a list of networks"),
        ('proxy_protocol = true\nproxy_protocol_from = ["lb1"]', "'lb1' is not a network"),
        ("proxy_protocol = true\nproxy_protocol_from = [10]", "10 is not a network"),
        ('unix_mode = "0770"', "unix_mode: '0770' is not accepted; allowed: a mode of read and write bits"),
        ("unix_mode = 660", "unix_mode: 660 is not accepted"),
        ('unix_mode = "0440"', "unix_mode: '0440' is not accepted"),
        ('unix_user = "a b"', "unix_user: 'a b' is not accepted; allowed: a name known to this machine"),
        ('tcp = { keepalive_idle = "500ms" }', "tcp.keepalive_idle: '500ms' is out of range; allowed: whole seconds"),
        ("tcp = { keepalive_count = 0 }", "tcp.keepalive_count: 0 is too small; allowed: 1 to 127"),
        ("tcp = { keep_alive = true }", 'unknown key "keep_alive"; did you mean "keepalive"?'),
    ],
)
def test_bad_value_on_a_listener_is_one_sentence(listener: str, expected: str) -> None:
    (found,) = problems(text(listener))
    assert expected in found


@pytest.mark.parametrize(
    ("listener", "bind", "expected"),
    [
        ("ipv6_only = false", '"0.0.0.0:80"', "ipv6_only: the listener has no IPv6 address in its bind"),
        ('unix_mode = "0600"', '"[::]:80"', "unix_mode: the listener has no Unix socket in its bind"),
        ('protocol = "tcp"\nconnect = true', BINDS, "connect: a tcp listener relays everything"),
        ('protocol = "tcp"\nupgrade = "all"', BINDS, "upgrade: a tcp listener relays everything"),
        ("ipv6_only = false", '["[::]:80", "0.0.0.0:80"]', "ipv6_only: with false, [::]:80 takes 0.0.0.0:80 as well"),
        ("", '"unix:run/x.sock"', "bind: 'unix:run/x.sock' is not a Unix socket; write \"unix:/path\""),
    ],
)
def test_combination_that_makes_no_sense_is_one_sentence(listener: str, bind: str, expected: str) -> None:
    (found,) = problems(text(listener, bind=bind))
    assert expected in found


def test_ipv4_beside_ipv6_is_fine_as_long_as_each_takes_its_own() -> None:
    assert parse_configuration(text(bind='["[::]:80", "0.0.0.0:80"]'), "f")
    assert parse_configuration(text("ipv6_only = false", bind='["[::]:0", "0.0.0.0:0"]'), "f")


@pytest.mark.parametrize(
    ("pool", "address", "expected"),
    [
        ('source = "lo"', "127.0.0.1:1", "source: 'lo' is not accepted; allowed: an address of this machine"),
        ('source = "127.0.0.2"', "[::1]:1", "it cannot be reached from the pool's source 127.0.0.2"),
        ('source = "::1"', "127.0.0.1:1", "it cannot be reached from the pool's source ::1"),
        ('source = "127.0.0.2"', "unix:/x", "a Unix socket cannot be reached from the pool's source"),
        ('proxy_protocol = "v3"', "127.0.0.1:1", "proxy_protocol: 'v3' is not known; allowed: 'v1' or 'v2'"),
        ("", "unix:x", "address: 'unix:x' is not a Unix socket; write \"unix:/path\""),
        ("", "unix:/" + "x" * 107, "with at most 107 bytes in the path"),
    ],
)
def test_bad_value_on_a_pool_is_one_sentence(pool: str, address: str, expected: str) -> None:
    (found,) = problems(text(pool=pool, address=address))
    assert expected in found


def test_named_server_may_have_any_source() -> None:
    assert parse_configuration(text(pool='source = "::1"', address="localhost:1"), "f")


def test_servers_of_any_shape_have_an_answer() -> None:
    assert problems('pool = [{ name = "app", source = "::1", server = 3 }]\n')
    assert problems(
        'pool = [{ name = "app", source = "::1", server = [3, { address = 4 }] }]\nlistener = [{ bind = 3 }]\n'
    )
