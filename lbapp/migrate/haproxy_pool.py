"""From a backend of haproxy.cfg to a pool: balance, persistence, retries, servers.

Responsible for what these lines say in lbapp's words. Knows nothing of frontends or of health checks.

Invariant: a server with an option that lbapp has no word for is taken with that option named, and one whose address cannot be
said is left whole; no server is spoken to without the TLS that its line asks for.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate.amounts import below, duration, name, seconds
from lbapp.migrate.haproxy_check import Options, check
from lbapp.migrate.haproxy_words import Section
from lbapp.migrate.outcome import Ledger, Line

_BALANCE: Final = {
    "static-rr": "weighted_round_robin", "leastconn": "least_connections", "source": "ip_hash", "first": "first",
    "random": "two_choices", "uri": "hash", "url_param": "hash", "hdr": "hash", "hash": "hash",
}  # fmt: skip
_WITH_VALUE: Final = frozenset(
    (
        "weight", "maxconn", "inter", "rise", "fall", "cookie", "fastinter", "downinter", "slowstart", "minconn",
        "id", "verify", "sni", "ca-file", "port", "addr", "on-marked-down", "on-marked-up", "resolvers", "init-addr",
        "observe", "error-limit", "on-error", "source", "maxqueue", "track", "proto", "alpn", "check-sni",
        "agent-port", "agent-inter", "agent-addr", "agent-send", "crt", "verifyhost", "ssl-min-ver", "ssl-max-ver",
        "ciphers", "ciphersuites", "resolve-prefer", "resolve-net", "resolve-opts", "pool-max-conn",
        "pool-purge-delay", "pool-low-conn", "max-reuse", "check-proto", "check-alpn", "crl-file", "redir",
        "usesrc", "interface", "tcp-ut", "socks4", "log-proto", "ws", "namespace", "curves", "proxy-v2-options",
        "shard", "hash-key", "guid", "sigalgs", "client-sigalgs", "idle-ping", "log-bufsize",
    )
)  # fmt: skip
_NAMED: Final = frozenset(
    (
        "weight", "maxconn", "cookie", "inter", "rise", "fall", "check", "backup", "fastinter", "downinter", "port",
        "slowstart", "ssl", "verify", "verifyhost", "sni", "ca-file", "crt", "send-proxy", "send-proxy-v2",
        "check-ssl", "check-send-proxy", "check-sni", "agent-check", "agent-port", "agent-inter", "resolvers",
        "init-addr", "resolve-prefer", "on-error", "observe", "id", "enabled", "ssl-min-ver", "no-sslv3", "no-tlsv10",
        "no-tlsv11", "no-tls-tickets", "pool-max-conn", "pool-purge-delay", "max-reuse", "non-stick", "no-check",
        "no-backup", "no-ssl", "no-verify", "no-send-proxy", "no-send-proxy-v2", "maxqueue", "error-limit",
    )
)  # fmt: skip
# Where a connection to a server goes, or what is spoken on it: without them it would end elsewhere, or not be understood.
_WAYS: Final = ("socks4", "redir", "namespace", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn")
_RETRIED: Final = {"502": 502, "503": 503, "504": 504}
_ATTEMPTS_MAX: Final = 10


def pool(draft: Table, ledger: Ledger, section: Section, bases: dict[str, str]) -> None:
    """Take a backend, or a listen that has servers. `bases`: words of global that say how servers are verified."""
    lines = list(section.with_defaults())
    servers = [line for line in lines if line.key == "server" and len(line.words) > 2]
    templates = [line for line in lines if line.key == "server-template" and len(line.words) > 3]
    if section.kind == "listen" and not servers and not templates:
        return
    made = draft.add("pool", section.head.number)
    made.put("name", name(section.name), section.head.number)
    standard: Options = {}
    for line in lines:
        if line.key == "default-server":
            standard = {**standard, **options_of(line.words[1:])}
    options = [(line, _with_standard(standard, options_of(line.words[3:]))) for line in servers]
    found = [(line, _with_standard(standard, options_of(line.words[4:]))) for line in templates]
    is_weighted = any("weight" in each for _, each in options)
    modes = [line for line in lines if line.key == "mode"]
    if modes:
        made.note(modes[-1].number)
    _balance(made, ledger, lines, is_weighted=is_weighted)
    check(made, ledger, lines, options or found)
    _persistence(made, ledger, lines)
    _of_pool(made, ledger, lines, options or found)
    for line in lines:
        if line.key == "default-server":
            made.note(line.number)
            _unsaid(ledger, line, options_of(line.words[1:]))
    if templates:
        _discover(made, ledger, templates, servers)
        return
    for line, each in _of_one_kind(made, ledger, options, bases):
        _server(made, ledger, line, each, is_weighted=is_weighted)
    _backups(made, ledger, section, lines, options)


def options_of(words: tuple[str, ...]) -> Options:
    """Return the options of a server by their words."""
    found: Options = {}
    at = 0
    while at < len(words):
        has_value = words[at] in _WITH_VALUE and at + 1 < len(words)
        found[words[at]] = words[at + 1] if has_value else ""
        at += 1 + has_value
    return found


def _with_standard(standard: Options, own: Options) -> Options:
    return {key: value for key, value in {**standard, **own}.items() if f"no-{key}" not in own}


def _balance(made: Table, ledger: Ledger, lines: list[Line], *, is_weighted: bool) -> None:
    found = [line for line in lines if line.key == "balance" and len(line.words) > 1]
    full = found[-1].words[1] if found else "roundrobin"
    word, _, argument = full.partition("(")
    argument = argument.rstrip(")") or (found[-1].words[2] if found and len(found[-1].words) > 2 else "")
    turn = "weighted_round_robin" if is_weighted else "round_robin"
    algorithm = turn if word == "roundrobin" else _BALANCE.get(word)
    key = _hashed(word, argument) if algorithm == "hash" else {}
    if algorithm is None or key is None:
        ledger.left(found[-1], f"servers are chosen by {turn}, as by HAProxy's own default")
        made.put("algorithm", turn)
        return
    sources = [found[-1].number] if found else []
    made.put("algorithm", "ip_hash" if key == {"key": "ip"} else algorithm, *sources)
    for name_, value in key.items() if key != {"key": "ip"} else ():
        made.table("hash", *sources).put(name_, value, *sources)
    if algorithm in ("ip_hash", "hash"):
        ledger.differs(found[-1], "clients meet the same server each time, but other ones than by HAProxy's hash")
    for line in lines:
        if line.key == "hash-balance-factor" and key and "hash" in made.values and line.words[-1].isdigit():
            made.table("hash").put("balance_factor", int(line.words[-1]), line.number)


def _hashed(word: str, argument: str) -> dict[str, str] | None:
    """Return what of a request is hashed; None: lbapp cannot."""
    if word == "uri":
        return {"key": "path"}
    if word == "url_param" and argument:
        return {"key": "query", "name": argument}
    if word == "hdr" and argument:
        return {"key": "header", "name": argument.lower()}
    match = (
        re.fullmatch(r"(?:req\.)?(src|path|hdr|cook|url_param)(?:\(([^)]+)\)?)?", argument) if word == "hash" else None
    )
    if match is None:
        return None
    kinds = {"src": "ip", "path": "path", "hdr": "header", "cook": "cookie", "url_param": "query"}
    return {"key": kinds[match[1]], **({"name": match[2]} if match[2] else {})}


def _persistence(made: Table, ledger: Ledger, lines: list[Line]) -> None:
    for line in lines:
        if line.key == "cookie" and len(line.words) > 2 and "insert" in line.words:
            _cookie(made, ledger, line)
    tables = [line for line in lines if line.key == "stick-table"]
    sticks = [line for line in lines if line.key == "stick" and line.words[1:3] in (("on", line.words[2]),)]
    if len(sticks) != 1 or "persistence" in made.values:
        return
    what = re.fullmatch(r"src|(?:req\.)?hdr\(([A-Za-z0-9_-]+)\)", sticks[0].words[2])
    if what is None or len(sticks[0].words) > 3:
        return
    sources = [line.number for line in (*tables[-1:], sticks[0])]
    table = made.table("persistence", *sources)
    table.put("type", "header" if what[1] else "ip", sticks[0].number)
    if what[1]:
        table.put("header", what[1], sticks[0].number)
    words = tables[-1].words if tables else ()
    expire = seconds(words[words.index("expire") + 1]) if "expire" in words[:-1] else None
    if expire:
        table.put("ttl", duration(expire), tables[-1].number)
    if "peers" in words:
        ledger.differs(tables[-1], "a client is remembered by this node alone")
    else:
        ledger.differs(
            sticks[0], "a server that drains keeps the clients it has; how many are remembered is in [limits]"
        )


def _cookie(made: Table, ledger: Ledger, line: Line) -> None:
    table = made.table("persistence", line.number)
    table.put("type", "cookie", line.number)
    table.put("cookie", line.words[1], line.number)
    for key, word in (("indirect", "indirect"), ("nocache", "nocache"), ("http_only", "httponly")):
        table.put(key, word in line.words, line.number)
    for key, word in (("ttl", "maxidle"), ("life", "maxlife")):
        amount = line.words[line.words.index(word) + 1] if word in line.words[:-1] else ""
        in_s = seconds(amount + "s") if amount.isdigit() else seconds(amount)
        if in_s:
            table.put(key, duration(in_s), line.number)
    known = ("insert", "indirect", "nocache", "httponly", "maxidle", "maxlife", "secure")
    others = [word for word in line.words[2:] if word not in known and seconds(word) is None]
    more = f"; not taken: {' '.join(others)}" if others else ""
    ledger.differs(
        line, f"the value is signed and lasts as ttl and life say; HAProxy's cookies are balanced anew{more}"
    )


def _of_pool(made: Table, ledger: Ledger, lines: list[Line], options: list[tuple[Line, Options]]) -> None:
    has_limit = any(found.get("maxconn", "0") not in ("", "0") for _, found in options)
    for line in lines:
        if line.key == "retries" and len(line.words) == 2 and line.words[1].isdigit():
            attempts = min(int(line.words[1]) + 1, _ATTEMPTS_MAX)
            made.table("retry").put("attempts", attempts, line.number)
            ledger.differs(
                line, "lbapp tries another server each time, and others may be tried in vain within a budget only"
            )
        elif line.key == "retry-on":
            wanted = [_RETRIED[word] for word in line.words if word in _RETRIED]
            wanted = list(_RETRIED.values()) if "all-retryable-errors" in line.words else wanted
            made.table("retry", line.number).put("on_status", wanted, line.number)
            ledger.differs(line, "of failures, lbapp tries again by itself what may be; of statuses, 502, 503 and 504")
        elif line.words[:2] == ("timeout", "queue") and has_limit and (wait := seconds(line.words[-1])):
            made.table("queue").put("timeout", duration(wait), line.number)
        elif line.words[:2] == ("timeout", "queue") and not has_limit:
            ledger.not_needed(line, "nobody waits where no server has a maxconn")
        elif line.key == "source" and len(line.words) == 2:
            made.put("source", re.sub(r":[0-9]*$", "", line.words[1]), line.number)
    slow = [(line, amount) for line, found in options if (amount := seconds(found.get("slowstart", "")))]
    if slow:
        made.table("slow_start", slow[0][0].number).put("window", duration(slow[0][1]), slow[0][0].number)
    marked = [line.number for line, found in options if found.get("on-error") == "mark-down" and "observe" in found]
    if marked:
        made.put("on_error", "mark_down", *marked)


def _discover(made: Table, ledger: Ledger, templates: list[Line], servers: list[Line]) -> None:
    line = templates[0]
    for other in (*templates[1:], *servers):
        ledger.left(other, "a pool's servers are those of one name, or those of the file")
    host, colon, port = line.words[3].rpartition(":")
    _, _, count = line.words[2].rpartition("-")
    if not count.isdigit():
        ledger.left(line, "it does not say how many servers there may be")
        return
    table = made.table("discover", line.number)
    table.put("name", host if colon else line.words[3], line.number)
    table.put("type", "address" if colon else "srv", line.number)
    if colon and port.isdigit():
        table.put("port", int(port), line.number)
    table.put("servers_max", int(count), line.number)
    _unsaid(ledger, line, options_of(line.words[4:]))


def _of_one_kind(
    made: Table, ledger: Ledger, options: list[tuple[Line, Options]], bases: dict[str, str]
) -> list[tuple[Line, Options]]:
    """Return the servers that are spoken to in the one way that a pool has, the most common, and say it of the pool."""
    kinds = [(_tls(found, bases), _proxy_version(found)) for _, found in options]
    if not kinds:
        return []
    ((tls, version), _) = Counter(kinds).most_common(1)[0]
    taken = []
    for kind, (line, found) in zip(kinds, options, strict=True):
        if kind == (tls, version):
            taken.append((line, found))
        else:
            ledger.left(
                line,
                "lbapp speaks TLS and PROXY to all servers of a pool or to none: give it a pool of its own",
            )
    numbers = [line.number for line, _ in taken]
    if version:
        made.put("proxy_protocol", version, *numbers)
    if tls is not None:
        table = made.table("tls", *numbers)
        for key, value in tls:
            (table.table("certificate") if key == "file" else table).put(key, value, *numbers)
        for line, found in taken:
            _say_of_names(ledger, line, found)
    return taken


def _tls(found: Options, bases: dict[str, str]) -> tuple[tuple[str, str | bool], ...] | None:
    """Return the keys of [pool.tls] that a server asks for; None: no TLS."""
    if "ssl" not in found:
        return None
    keys: dict[str, str | bool] = {}
    if found.get("verify", bases.get("ssl-server-verify", "required")) == "none":
        keys["verify"] = False
    elif not found.get("ca-file", "@").startswith("@"):
        keys["ca_file"] = below(bases.get("ca-base", ""), found["ca-file"])
    name_ = found.get("verifyhost") or re.sub(r"^str\((.+)\)$", r"\1", found.get("sni", ""))
    if name_ and "(" not in name_ and not name_.startswith(("req.", "ssl_fc", "%", "var")):
        keys["server_name"] = name_
    if found.get("ssl-min-ver") == "TLSv1.3" or "force-tlsv13" in found:
        keys["min_version"] = "1.3"
    if "crt" in found:
        keys["file"] = below(bases.get("crt-base", ""), found["crt"])
    return tuple(keys.items())


def _proxy_version(found: Options) -> str:
    return "v2" if "send-proxy-v2" in found else "v1" if "send-proxy" in found else ""


def _say_of_names(ledger: Ledger, line: Line, found: Options) -> None:
    sni = found.get("sni", "")
    if "(" in sni and not sni.startswith("str("):
        ledger.differs(
            line, f"sni {sni}: lbapp asks each server for the name of its own address, or server_name of [pool.tls]"
        )
    if found.get("verify") != "none" and "verifyhost" not in found and not sni.startswith("str("):
        ledger.differs(
            line,
            "lbapp also verifies the certificate's name: the host of the address, or server_name",
        )


def _backups(
    made: Table, ledger: Ledger, section: Section, lines: list[Line], options: list[tuple[Line, Options]]
) -> None:
    taken: list[Table] = made.values.get("server", [])
    if taken and all(each.values.get("backup") for each in taken):
        for each in taken:
            del each.values["backup"]
        ledger.differs(section.head, "all its servers are backups; lbapp sends to all of them")
    backups = [line for line, found in options if "backup" in found]
    allbackups = [line for line in lines if line.words[:2] == ("option", "allbackups")]
    for line in allbackups:
        ledger.not_needed(line, "lbapp sends to all backups that are eligible")
    if len(backups) > 1 and not allbackups:
        ledger.differs(backups[1], "lbapp sends to all backups at once, HAProxy to the first that is up")


def _unsaid(ledger: Ledger, line: Line, found: Options) -> None:
    unsaid = [f"{key} {value}".strip() for key, value in found.items() if key not in _NAMED]
    if unsaid:
        ledger.differs(line, f"not taken of it: {', '.join(unsaid)}")


def _other_way(found: Options) -> str:
    """Return what of a server says that it is reached in a way that lbapp does not know; empty: nothing does."""
    ways = [f"{word} {found[word]}".strip() for word in _WAYS if word in found]
    if found.get("proto", "h1") not in ("h1", "none"):
        ways.append(f"proto {found['proto']}")
    return ", ".join(ways)


def _server(made: Table, ledger: Ledger, line: Line, found: Options, *, is_weighted: bool) -> None:
    address = line.words[2].removeprefix("ipv4@").removeprefix("unix@")
    if "disabled" in found:
        ledger.not_needed(line, "it is disabled and gets nothing; lbapp add, when it is wanted")
        return
    if address.startswith("ipv6@") or address.count(":") > 1:
        host, _, port = address.removeprefix("ipv6@").rpartition(":")
        address = f"[{host.strip('[]')}]:{port}"
    if not address.startswith("/") and not re.search(r":[0-9]+$", address):
        ledger.left(
            line, "it has no port of its own: HAProxy connects to that of the client, lbapp to one that is named"
        )
        return
    way = _other_way(found)
    if way:
        ledger.left(line, f"lbapp cannot reach a server so: {way}")
        return
    server = made.add("server", line.number)
    server.put("name", name(line.words[1]), line.number)
    server.put("address", f"unix:{address}" if address.startswith("/") else address, line.number)
    if is_weighted:
        weight = found.get("weight", "1")
        server.put("weight", int(weight) if weight.isdigit() else weight, line.number)
    if found.get("maxconn", "0").isdigit() and found.get("maxconn", "0") != "0":
        server.put("connections_max", int(found["maxconn"]), line.number)
    if "backup" in found:
        server.put("backup", True, line.number)
    if "cookie" in found and made.values.get("persistence") is None:
        ledger.differs(line, f"not taken of it: cookie {found['cookie']}")
    elif "cookie" in found:
        ledger.differs(line, "the cookie's value is lbapp's own, not this one")
    _unsaid(ledger, line, options_of(line.words[3:]))
