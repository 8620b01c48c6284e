"""Keys about connections: sockets, the PROXY protocol, tunnels; on a listener, on a pool and in their `tcp` tables.

Responsible for the keys, their values and the rules between keys of one table. Knows nothing of the rest of the schema. Rules
work on the data as TOML gives it, as those of rules.py do.

Invariant: a combination that would do nothing, or not what it says, is refused with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field

from lbapp.config import values
from lbapp.config.table import STRICT, Table
from lbapp.model.entities import Protocol
from lbapp.model.transport import UNIX_PREFIX, ListenerTransport, PoolTransport, ProxyVersion, TcpOptions

Found = tuple[tuple[int | str, ...], str]

_TCP: Final = TcpOptions()
_LISTENER: Final = ListenerTransport()
_POOL: Final = PoolTransport()
_UPGRADES: Final = ["websocket"]
_KEEPALIVE_S_MAX: Final = 32767  # of the kernel
_PROTOCOL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:/[A-Za-z0-9!#$%&'*+.^_`|~-]+)?").fullmatch
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}").fullmatch
_MODE: Final = re.compile(r"0?[0-7]{3}").fullmatch
_HTTP2: Final = ("h2", "h2c")


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: true or false")
    return value


def _upgrade(value: object) -> list[str] | str:
    if value in ("all", "none"):
        return str(value)
    if not isinstance(value, list) or not all(isinstance(each, str) and _PROTOCOL(each) for each in value):
        raise ValueError(
            f'{values.shown(value)} is not accepted; allowed: "all", "none" or a list of protocols, such as ["websocket"]'
        )
    for each in value:
        if each.lower() in _HTTP2:
            raise ValueError(f"{values.shown(each)} can never be relayed: nothing here could follow it; leave it out")
    return [each.lower() for each in value]


def _networks(value: object) -> list[IPv4Network | IPv6Network | str]:
    if not isinstance(value, list):
        raise ValueError(f'{values.shown(value)} is not accepted; allowed: a list of networks, such as ["10.0.0.0/8"]')
    return [_network(each) for each in value]


def _network(value: object) -> IPv4Network | IPv6Network | str:
    if value == UNIX_PREFIX:
        return UNIX_PREFIX
    try:
        if isinstance(value, str):
            return ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            wide = ip_network(str(value), strict=False)
            raise ValueError(f'{values.shown(value)} is an address in a network; did you mean "{wide}"?') from error
    raise ValueError(
        f'{values.shown(value)} is not a network; write "10.0.0.0/8", "2001:db8::/32", one address, '
        f'or "unix:" for peers over a Unix socket'
    )


def _unix_mode(value: object) -> int:
    if not isinstance(value, str) or not _MODE(value) or int(value, 8) & 0o111 or int(value, 8) & 0o600 != 0o600:
        raise ValueError(
            f'{values.shown(value)} is not accepted; allowed: a mode of read and write bits in quotes, such as "0660"; '
            f"a client needs the write bit"
        )
    return int(value, 8)


def _account(value: object) -> str:
    if not isinstance(value, str) or not _ACCOUNT(value):
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: a name known to this machine")
    return value


def _ip(value: object) -> str:
    try:
        if isinstance(value, str):
            return str(ip_address(value))
    except ValueError:
        pass
    raise ValueError(f'{values.shown(value)} is not accepted; allowed: an address of this machine, such as "192.0.2.1"')


def _keepalive_s(value: object) -> float:
    seconds = values.duration_s(value)
    if not 1 <= seconds <= _KEEPALIVE_S_MAX or seconds % 1:
        raise ValueError(
            f'{values.shown(value)} is out of range; allowed: whole seconds, "1s" to "{_KEEPALIVE_S_MAX}s"'
        )
    return seconds


Flag = Annotated[bool, BeforeValidator(_flag)]
KeepaliveTime = Annotated[float, BeforeValidator(_keepalive_s)]
Duration = Annotated[float, BeforeValidator(values.positive_duration_s)]
Account = Annotated[str, BeforeValidator(_account)]


class TcpKeys(BaseModel):
    """What both `tcp` tables have."""

    model_config = STRICT
    keepalive: Flag = _TCP.keepalive
    keepalive_idle: KeepaliveTime = _TCP.keepalive_idle_s
    keepalive_interval: KeepaliveTime = _TCP.keepalive_interval_s
    keepalive_count: Annotated[int, BeforeValidator(values.whole_number(1, 127))] = _TCP.keepalive_count
    user_timeout: Duration | None = None

    def to_options(self) -> TcpOptions:
        """Return the options in the model's form."""
        return TcpOptions(
            self.keepalive, self.keepalive_idle, self.keepalive_interval, self.keepalive_count, self.user_timeout or 0.0
        )


class ListenerTcpTable(Table, TcpKeys):
    """`[listener.tcp]`."""

    fastopen: Flag = _LISTENER.fastopen
    defer_accept: Flag = _LISTENER.defer_accept


class PoolTcpTable(Table, TcpKeys):
    """`[pool.tcp]`."""


class ListenerKeys(BaseModel):
    """What `[[listener]]` says about its connections."""

    model_config = STRICT
    upgrade: Annotated[list[str] | str, BeforeValidator(_upgrade)] = Field(default_factory=lambda: list(_UPGRADES))
    connect: Flag = _LISTENER.connect
    tunnel_idle_timeout: Duration | None = None
    proxy_protocol: Flag = _LISTENER.proxy_protocol
    proxy_protocol_from: Annotated[list[Any], BeforeValidator(_networks)] = Field(default_factory=list)
    ipv6_only: Flag = _LISTENER.ipv6_only
    unix_mode: Annotated[int, BeforeValidator(_unix_mode)] = _LISTENER.unix_mode
    unix_user: Account | None = None
    unix_group: Account | None = None
    tcp: ListenerTcpTable = Field(default_factory=ListenerTcpTable)

    def to_transport(self) -> ListenerTransport:
        """Return the keys in the model's form."""
        networks = self.proxy_protocol_from
        return ListenerTransport(
            upgrades=None if self.upgrade == "all" else frozenset(() if self.upgrade == "none" else self.upgrade),
            connect=self.connect,
            tunnel_idle_timeout_s=self.tunnel_idle_timeout,
            proxy_protocol=self.proxy_protocol,
            proxy_protocol_from=tuple(each for each in networks if each != UNIX_PREFIX),
            trusts_unix=UNIX_PREFIX in networks,
            ipv6_only=self.ipv6_only,
            unix_mode=self.unix_mode,
            unix_user=self.unix_user,
            unix_group=self.unix_group,
            fastopen=self.tcp.fastopen,
            defer_accept=self.tcp.defer_accept,
            tcp=self.tcp.to_options(),
        )


class PoolKeys(BaseModel):
    """What `[[pool]]` says about connections to its servers."""

    model_config = STRICT
    proxy_protocol: Annotated[ProxyVersion, BeforeValidator(values.word_of(ProxyVersion))] | None = None
    source: Annotated[str, BeforeValidator(_ip)] | None = None
    tcp: PoolTcpTable = Field(default_factory=PoolTcpTable)

    def to_transport(self) -> PoolTransport:
        """Return the keys in the model's form."""
        return PoolTransport(self.proxy_protocol, self.source, self.tcp.to_options())


def listener_rules(path: tuple[int | str, ...], listener: dict[str, Any]) -> Iterator[Found]:
    """Yield what does not hold between the keys of one listener."""
    is_on = listener.get("proxy_protocol") is True
    if is_on and not listener.get("proxy_protocol_from"):
        yield (
            (*path, "proxy_protocol"),
            "whose PROXY headers are believed has to be said; add proxy_protocol_from with the networks of the proxies",
        )
    if not is_on and listener.get("proxy_protocol_from"):
        yield (*path, "proxy_protocol_from"), "it means nothing without proxy_protocol = true; add that, or remove it"
    if listener.get("protocol") == Protocol.TCP.value:
        for key in ("upgrade", "connect"):
            if key in listener:
                yield (*path, key), "a tcp listener relays everything and reads no requests; remove it"
    binds = binds_of(listener)
    if "ipv6_only" in listener and not any(bind.startswith("[") for bind in binds):
        yield (*path, "ipv6_only"), "the listener has no IPv6 address in its bind; add one, or remove the key"
    if not any(bind.startswith(UNIX_PREFIX) for bind in binds):
        for key in ("unix_mode", "unix_user", "unix_group"):
            if key in listener:
                yield (*path, key), "the listener has no Unix socket in its bind; add one, or remove the key"


def dual_stack_rules(path: tuple[int | str, ...], listener: dict[str, Any], every_bind: set[str]) -> Iterator[Found]:
    """Yield the addresses that a listener for IPv6 and IPv4 at once would take a second time."""
    if listener.get("ipv6_only") is not False:
        return
    for bind in binds_of(listener):
        twin = bind.replace("[::]:", "0.0.0.0:", 1)
        if twin != bind and twin in every_bind and not twin.endswith(":0"):
            yield (
                (*path, "ipv6_only"),
                f"with false, {bind} takes {twin} as well, which is bound too; remove one of them",
            )


def pool_rules(path: tuple[int | str, ...], pool: dict[str, Any]) -> Iterator[Found]:
    """Yield what does not hold between the keys of one pool and its servers."""
    source = pool.get("source")
    servers = pool.get("server")
    try:
        is_ipv6 = ":" in _ip(source)
    except ValueError:
        return
    for at, server in enumerate(servers if isinstance(servers, list) else []):
        address = server.get("address") if isinstance(server, dict) else None
        if not isinstance(address, str):
            continue
        here = (*path, "server", at, "address")
        if address.startswith(UNIX_PREFIX):
            yield here, f"a Unix socket cannot be reached from the pool's source {source}; move it to another pool"
        elif _is_literal(address) and address.startswith("[") != is_ipv6:
            yield here, f"it cannot be reached from the pool's source {source}: one is IPv4, the other IPv6"


def _is_literal(address: str) -> bool:
    return address.startswith("[") or re.fullmatch(r"[0-9.]+:[0-9]+", address) is not None


def binds_of(listener: dict[str, Any]) -> list[str]:
    """Return what a listener binds to, as far as it is text."""
    value = listener.get("bind")
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
