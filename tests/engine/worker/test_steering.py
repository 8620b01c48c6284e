"""Routes, header rules and trusted proxies, through a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.model.actions import (
    FixedResponse,
    Forwarding,
    HeaderRules,
    Hsts,
    PrefixChange,
    Redirect,
    Share,
)
from lbapp.model.entities import Bind, Listener, Pool, Protocol, Route
from lbapp.model.outcomes import Outcome
from lbapp.model.states import AdminState
from tests.engine.worker.harness import (
    RunningWorker,
    TcpServer,
    read_exactly,
    read_head,
    running_worker,
    scripted,
    server,
)
from tests.system.harness import wait_for

pytestmark = pytest.mark.system

WEB = Listener("web", (Bind("127.0.0.1", 0),), pool="app")
LOOPBACK = Forwarding((ip_network("127.0.0.0/8"),))
Seen = list[bytes]


@contextmanager
def serving(listener: Listener, *, answer: bytes = b"") -> Iterator[tuple[RunningWorker, Seen]]:
    """Run a worker with the pools app and canary, each of one server that answers with the pool's name."""
    seen: Seen = []
    servers = {}
    for name in ("app", "canary"):

        def handle(connection: object, name: str = name) -> None:
            rest = b""
            while True:
                head, rest = read_head(connection, rest)  # type: ignore[arg-type]
                seen.append(head)
                plain = b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name.encode())
                connection.sendall(answer or plain)  # type: ignore[attr-defined]

        servers[name] = TcpServer(handle)
    pools = tuple(Pool(name, (server("s", each.port, pool=name),)) for name, each in servers.items())
    try:
        with running_worker((listener,), pools) as worker:
            yield worker, seen
    finally:
        for each in servers.values():
            each.close()


def get(
    worker: RunningWorker, target: bytes = b"/", fields: bytes = b"Host: h.example\r\n", method: bytes = b"GET"
) -> bytes:
    return worker.request(b"%b %b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (method, target, fields))


def withhold(worker: RunningWorker, pool: str, is_withheld: bool = True) -> None:
    """Unpublish a pool as the supervisor does."""
    row = worker.rows.pools[pool]
    worker.segment.cells[worker.segment.layout.pool_withheld(row)] = int(is_withheld)
    worker.segment.cells[worker.segment.layout.pool_version(row)] += 1


def test_http_goes_to_https_in_one_line() -> None:
    listener = replace(WEB, pool=None, routes=(Route(redirect=Redirect(scheme="https", status=308)),))
    with serving(listener) as (worker, seen):
        answer = get(worker, b"/a?b=c", b"Host: h.example:8080\r\n")
        assert answer.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n")
        assert b"\r\nLocation: https://h.example/a?b=c\r\n" in answer
        without_host = worker.request(b"GET / HTTP/1.0\r\n\r\n")
        assert without_host.startswith(b"HTTP/1.1 400 ")
        assert b"the request names none" in without_host
        assert not seen
        wait_for(lambda: worker.listener().requests == 2)
        assert worker.listener().outcomes[Outcome.COMPLETED] == 1
        assert worker.listener().responses[2] == 1


def test_answers_of_our_own_keep_the_connection_and_serve_head() -> None:
    fixed = FixedResponse(200, '{"ok": true}', "application/json")
    listener = replace(
        WEB, routes=(Route(path="/healthz", respond=fixed), Route(path="/gone", respond=FixedResponse(204)))
    )
    with serving(listener) as (worker, _), worker.connect() as client:
        client.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        first, rest = read_head(client)
        second, rest = read_head(client, rest)
        assert first == second
        assert b"Content-Type: application/json\r\nContent-Length: 12\r\n" in second
        assert read_exactly(client, 12, rest) == b'{"ok": true}'
        client.sendall(b"GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
        assert read_head(client) == (b"HTTP/1.1 204 No Content\r\n\r\n", b"")
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        head, rest = read_head(client)
        assert head.startswith(b"HTTP/1.1 200")
        assert read_exactly(client, 3, rest) == b"app"


def test_answer_of_our_own_to_a_request_with_a_body_ends_the_connection() -> None:
    listener = replace(WEB, routes=(Route(method="POST", respond=FixedResponse(403, "no")),))
    with serving(listener) as (worker, seen):
        answer = worker.request(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nno")
        assert not seen


def test_prefix_is_taken_off_what_the_server_gets() -> None:
    listener = replace(WEB, routes=(Route("app", path="/api", prefix_change=PrefixChange("/api")),))
    with serving(listener) as (worker, seen):
        for target in (b"/api/v1?x", b"/api", b"/api//evil", b"/apix"):
            get(worker, target)
        assert [head.split(b" ")[1] for head in seen] == [b"/v1?x", b"/", b"/evil", b"/apix"]


def test_header_rules_change_both_sides_and_the_route_has_the_last_word() -> None:
    listener = replace(
        WEB,
        request_headers=HeaderRules(set=(("x-id", "{request_id}"), ("x-a", "listener")), remove=("cookie",)),
        response_headers=HeaderRules(set=(("x-id", "{request_id}"), ("server", "lbapp"))),
        routes=(Route("app", request_headers=HeaderRules(set=(("x-a", "{client_address}|{host}|{scheme}"),))),),
    )
    with serving(listener) as (worker, seen):
        answer = get(worker, b"/", b"Host: h.example\r\nX-A: forged\r\nCookie: c\r\nx-a: forged\r\n")
        head = seen[0].lower()
        assert b"cookie" not in head
        assert head.count(b"\r\nx-a:") == 1
        assert b"\r\nx-a: 127.0.0.1|h.example|http\r\n" in head
        request_id = head.partition(b"\r\nx-id: ")[2].partition(b"\r\n")[0]
        assert len(request_id) == 32
        assert b"\r\nx-id: " + request_id + b"\r\n" in answer
        assert b"\r\nserver: lbapp\r\n" in answer
        assert b"Server: s" not in answer


def test_host_is_set_first_and_once_and_what_was_asked_for_is_still_told() -> None:
    listener = replace(WEB, request_headers=HeaderRules(set=(("host", "app.internal:8080"),)))
    with serving(listener) as (worker, seen):
        get(worker)
        worker.request(b"GET / HTTP/1.0\r\n\r\n")
        for head, asked_for in zip(seen, (b"h.example", b"app.internal:8080"), strict=True):
            assert head.startswith(b"GET / HTTP/1.1\r\nHost: app.internal:8080\r\n")
            assert head.lower().count(b"\r\nhost:") == 1
            assert b"\r\nX-Forwarded-Host: " + asked_for + b"\r\n" in head


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nserver: s\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nServer:s\r\nContent-Length: 11\r\n\r\nserver: yes",
    ],
)
def test_rules_hold_for_every_answer_of_a_kept_connection(answer: bytes) -> None:
    listener = replace(WEB, response_headers=HeaderRules(set=(("server", "lbapp"),), add=(("x-b", "1"),)))
    with serving(listener, answer=answer) as (worker, _), worker.connect() as client:
        for _ in range(3):
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            head, rest = read_head(client)
            assert head.lower().count(b"server:") == 1
            assert b"\r\nserver: lbapp\r\nx-b: 1\r\n" in head
            body = answer.partition(b"\r\n\r\n")[2]
            assert read_exactly(client, len(body), rest) == body


def test_rules_of_one_request_do_not_reach_the_next() -> None:
    listener = replace(WEB, routes=(Route("app", path="/a", response_headers=HeaderRules(add=(("x-a", "1"),))),))
    with serving(listener) as (worker, _), worker.connect() as client:
        for target, has_line in ((b"/a", True), (b"/b", False), (b"/a", True)):
            client.sendall(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target)
            head, rest = read_head(client)
            read_exactly(client, 3, rest)
            assert (b"\r\nx-a: 1\r\n" in head) is has_line


def test_hsts_is_said_over_https_only() -> None:
    listener = replace(WEB, hsts=Hsts(60.0), forwarding=LOOPBACK)
    with serving(listener) as (worker, _):
        assert b"strict-transport-security" not in get(worker)
        answer = get(worker, b"/", b"Host: h\r\nX-Forwarded-Proto: https\r\n")
        assert b"\r\nstrict-transport-security: max-age=60\r\n" in answer


def test_what_a_client_says_of_itself_is_dropped_unless_it_is_a_trusted_proxy() -> None:
    fields = b"Host: h\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n"
    fields += b"X-Forwarded-Port: 443\r\nForwarded: for=6.6.6.6\r\nVia: 1.1 other\r\n"
    with serving(WEB) as (worker, seen):
        get(worker, b"/", fields)
        assert seen[0] == (
            b"GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 other\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
            b"Via: 1.1 lbapp\r\nX-Forwarded-Host: h\r\n\r\n"
        )
    with serving(replace(WEB, forwarding=LOOPBACK)) as (worker, seen):
        get(worker, b"/", fields)
        assert seen[0] == (
            b"GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 other\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7, 127.0.0.1\r\n"
            b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nVia: 1.1 lbapp\r\nX-Forwarded-Host: shop\r\n\r\n"
        )


def test_next_request_of_a_trusted_proxy_may_be_another_clients() -> None:
    rules = HeaderRules(set=(("x-client", "{client_address}"),))
    with (
        serving(replace(WEB, forwarding=LOOPBACK, request_headers=rules)) as (worker, seen),
        worker.connect() as client,
    ):
        for said in (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", b""):
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n%b\r\n" % said)
            _, rest = read_head(client)
            read_exactly(client, 3, rest)
        assert b"\r\nx-client: 192.0.2.7\r\n" in seen[0]
        assert b"\r\nx-client: 127.0.0.1\r\n" in seen[1]
        assert b"\r\nX-Forwarded-Proto: http\r\n" in seen[1]


def test_request_of_http_1_0_says_so_in_via() -> None:
    with serving(WEB) as (worker, seen):
        worker.request(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
        assert b"\r\nVia: 1.0 lbapp\r\n" in seen[0]


def test_split_keeps_each_client_on_its_side() -> None:
    split = (Share("app", 50), Share("canary", 50))
    listener = replace(WEB, routes=(Route(split=split),), forwarding=LOOPBACK)
    with serving(listener) as (worker, _):
        chosen: dict[int, set[bytes]] = {}
        for _ in range(2):
            for number in range(40):
                answer = get(worker, b"/", b"Host: h\r\nX-Forwarded-For: 192.0.2.%d\r\n" % number)
                chosen.setdefault(number, set()).add(answer.rpartition(b"\r\n\r\n")[2])
        assert all(len(sides) == 1 for sides in chosen.values())
        counts = [sides.pop() for sides in chosen.values()]
        assert 8 <= counts.count(b"canary") <= 32


def test_split_by_request_gives_one_client_both_sides() -> None:
    route = Route(split=(Share("app", 50), Share("canary", 50)), split_by_client=False)
    with serving(replace(WEB, routes=(route,))) as (worker, _):
        assert {get(worker).rpartition(b"\r\n\r\n")[2] for _ in range(40)} == {b"app", b"canary"}


def test_unpublished_pool_is_passed_over_until_it_is_published_again() -> None:
    listener = replace(
        WEB, routes=(Route("canary", path="/x"), Route(path="/y", split=(Share("app", 1), Share("canary", 9))))
    )
    with serving(listener) as (worker, _):
        assert get(worker, b"/x").endswith(b"canary")
        withhold(worker, "canary")
        assert get(worker, b"/x").endswith(b"app"), "the listener's pool is the next that takes it"
        assert all(get(worker, b"/y").endswith(b"app") for _ in range(5))
        withhold(worker, "app")
        answer = get(worker, b"/x")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"pool canary is unpublished" in answer
        assert b"pool app is unpublished" in get(worker, b"/y")
        assert b"pool app is unpublished" in get(worker)
        withhold(worker, "canary", False)
        assert get(worker, b"/x").endswith(b"canary")


def test_unpublishing_holds_on_a_kept_connection_of_a_listener_without_routes() -> None:
    with serving(WEB) as (worker, _), worker.connect() as client:
        for status in (b"200", b"200", b"503", b"200"):
            withhold(worker, "app", status == b"503")
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            head, rest = read_head(client)
            assert head.startswith(b"HTTP/1.1 " + status)
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
            read_exactly(client, length, rest)


def test_tcp_listener_closes_on_an_unpublished_pool() -> None:
    with serving(replace(WEB, protocol=Protocol.TCP)) as (worker, seen):
        withhold(worker, "app")
        assert worker.request(b"") == b""
        assert worker.server("app/s").connections_total == 0
        assert not seen


def test_pool_without_eligible_servers_is_not_passed_over() -> None:
    listener = replace(WEB, routes=(Route("canary"),))
    with serving(listener) as (worker, _):
        worker.set_state("canary/s", at.STATE_ADMIN, AdminState.MAINT)
        answer = get(worker)
        assert b"no eligible server in pool canary" in answer


def test_path_too_long_for_an_expression_is_refused() -> None:
    listener = replace(WEB, routes=(Route(path_regex="/secret/.*", respond=FixedResponse(403)),))
    with serving(listener) as (worker, seen):
        assert get(worker, b"/secret/x").startswith(b"HTTP/1.1 403")
        assert get(worker, b"/secret/" + b"x" * 2000).startswith(b"HTTP/1.1 414")
        assert get(worker, b"/open?" + b"x" * 2000).endswith(b"app")
        assert len(seen) == 1


def test_server_cannot_make_rules_split_its_answer() -> None:
    broken = scripted(b"HTTP/1.1 200 OK\r\nX: 1\rserver: x\r\nContent-Length: 0\r\n\r\n")
    backend = TcpServer(broken)
    listener = replace(WEB, response_headers=HeaderRules(remove=("server",)))
    with running_worker((listener,), (Pool("app", (server("s", backend.port),)),)) as worker:
        assert get(worker).startswith(b"HTTP/1.1 502")
    backend.close()
