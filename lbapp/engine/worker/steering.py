"""Where a request goes on a listener that does more than pass everything to one pool.

Responsible for carrying out, request by request, what routes, header rules and trusted proxies ask for: it asks `policy` for
the route, the share and the redirect, applies `wire.rewriting` to the head, and notes on the connection what its answers
get. Knows nothing of servers. A listener without any of this has no Steering and pays nothing for it.

Invariants: what was noted on a connection for one request is noted anew for the next; rules that change a head are applied
once for each request; an answer of our own carries the lines that an answer of a server would get.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from lbapp.engine.policy.actions import change_path, choose_share, client_position, location_of, split_salt
from lbapp.engine.policy.routing import Router, TooLong
from lbapp.engine.wire.forwarding import believe, client_key, is_trusted
from lbapp.engine.wire.heads import RequestHead
from lbapp.engine.wire.replies import build_answer, build_redirect, build_reply
from lbapp.engine.wire.rewriting import compile_rules, lines_named
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.tracing import Tracer, answer_rules
from lbapp.model.entities import Listener, Route
from lbapp.model.outcomes import Outcome

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

_drop_host: Final = lines_named(["host"]).sub
_NO_HOST: Final = "a redirect needs to know the host, and the request names none"


class OwnAnswer:
    """An answer without a server. `build(close, head_only)` returns its bytes."""

    __slots__ = ("build", "is_error", "outcome", "status")

    def __init__(self, outcome: Outcome, status: int, build: Callable[[bool, bool], bytes], is_error: bool) -> None:
        self.outcome = outcome
        self.status = status
        self.build = build
        self.is_error = is_error


def refusal(outcome: Outcome, status: int, reason: str) -> OwnAnswer:
    """Return an answer that says why there is no other; the connection is closed behind it."""

    def build(close: bool, head_only: bool) -> bytes:
        return build_reply(status, reason, close=close, head_only=head_only)

    return OwnAnswer(outcome, status, build, True)


class _Prepared:
    """What a route does, ready to be done: its rules behind those of the listener."""

    __slots__ = ("answer_rules", "host", "request_rules", "route", "salt", "shares")

    def __init__(self, listener: Listener, route: Route) -> None:
        self.route = route
        self.salt = split_salt(route.split)
        self.shares = sorted(
            route.split, key=lambda share: share.pool
        )  # on every node alike, however the file has them
        rules = listener.request_headers.then(route.request_headers)
        # Host is set apart: it stands first, and X-Forwarded-Host keeps what the client asked for.
        self.host = dict(rules.set).get("host", "").encode()
        if self.host:
            rules = rules.without("host")
        self.request_rules = compile_rules(rules)
        self.answer_rules = compile_rules(
            answer_rules(listener).then(listener.response_headers).then(route.response_headers)
        )


class Steering:
    """The routes, rules and trust of one listener, carried out."""

    def __init__(self, listener: Listener, router: Router, pools: dict[str, UpstreamPool], random: Random) -> None:
        self._router = router
        self._pools = pools
        self._random = random
        self._forwarding = listener.forwarding
        self._tracer = Tracer(listener) if listener.tracing.is_on else None
        self._hsts = None if listener.hsts is None else f"strict-transport-security: {listener.hsts.value}\r\n".encode()
        routes = (*listener.routes, *(() if router.fallback is None else (router.fallback,)))
        self._prepared = {id(route): _Prepared(listener, route) for route in routes}
        self._only_pool = self._pool_without_routes()

    def _pool_without_routes(self) -> UpstreamPool | None:
        """Return the pool of a listener that looks at its requests only to know or to trace them; None: it does more."""
        fallback = self._router.fallback
        if self._router.has_routes or fallback is None or fallback.pool is None or self._hsts is not None:
            return None
        prepared = self._prepared[id(fallback)]
        is_plain = prepared.request_rules is None and prepared.answer_rules is None and not prepared.host
        return self._pools[fallback.pool] if is_plain else None

    def steer(self, client: Downstream, head: RequestHead) -> UpstreamPool | OwnAnswer:
        """Return where a request goes, or what to answer it with."""
        if self._forwarding.trusted_proxies:
            self._believe(client, head)
        if self._tracer is not None:
            self._tracer.trace(client, head)
        client.answer_lines, client.answer_drop = b"", None
        return self._only_pool or self._route(client, head)

    def _route(self, client: Downstream, head: RequestHead) -> UpstreamPool | OwnAnswer:
        scheme, host = client.scheme, head.forwarded_host or head.host
        location, pools = b"", self._pools

        def is_open(route: Route) -> bool:
            nonlocal location
            if route.redirect is not None:
                location = location_of(route.redirect, scheme, host, head.target) or b""
                return bool(location) or not host
            if route.pool is not None:
                return pools[route.pool].is_published
            return not route.split or any(pools[share.pool].is_published for share in route.split if share.weight)

        try:
            route = self._router.choose_route(head.host, head.target, head.method, head.fields, is_open)
        except TooLong as too_long:
            return refusal(Outcome.CLIENT_BAD_REQUEST, too_long.status, too_long.reason)
        if route is None:
            return refusal(Outcome.NO_ROUTE, 404, "no route matches, and the listener has no pool")
        prepared = self._prepared[id(route)]
        self._apply(client, head, prepared)
        if route.redirect is not None or route.respond is not None:
            return _answer_of(route, location, client.answer_lines)
        return self._pools[route.pool or self._pool_of(prepared, client.key)]

    def _believe(self, client: Downstream, head: RequestHead) -> None:
        peer = client.address
        if peer is None or not is_trusted(peer, self._forwarding):
            return
        received = believe(peer, client.own_scheme, self._forwarding, head.forwarding)
        client.key = client_key(received.address)
        client.client_address = received.address
        client.logged_as = ""
        client.scheme = received.scheme
        client.forwarded = received.lines
        head.forwarded_host = received.host

    def _pool_of(self, prepared: _Prepared, key: bytes) -> str:
        route = prepared.route
        position = client_position(key, prepared.salt) if route.split_by_client else self._random.getrandbits(64)
        chosen = choose_share(prepared.shares, position, self._is_published)
        return chosen or next(share.pool for share in route.split if share.weight)  # which is unpublished, and says so

    def _is_published(self, pool: str) -> bool:
        return self._pools[pool].is_published

    def _apply(self, client: Downstream, head: RequestHead, prepared: _Prepared) -> None:
        route = prepared.route
        if prepared.host or route.prefix_change is not None:
            head.asked = (head.host, head.target)
        request_rules, answer_rules = prepared.request_rules, prepared.answer_rules
        if answer_rules is not None or request_rules is not None:
            facts = _Facts(client, head, self._random)
            if answer_rules is not None:
                client.answer_drop = answer_rules.drop
                client.answer_lines = answer_rules.lines(facts.value)
            if request_rules is not None:
                head.fields = request_rules.apply(head.fields, facts.value)
        if prepared.host:
            head.fields = b"Host: %b\r\n%b" % (prepared.host, _drop_host(b"", head.fields))
            head.forwarded_host = head.forwarded_host or head.host
            head.host = prepared.host
        if self._hsts is not None and client.scheme == "https":
            client.answer_lines += self._hsts
        if route.prefix_change is not None:
            head.target = change_path(route.prefix_change, head.target)


class _Facts:
    """What the variables of header rules stand for, in one request."""

    __slots__ = ("_client", "_head", "_random", "_request_id")

    def __init__(self, client: Downstream, head: RequestHead, random: Random) -> None:
        self._client = client
        self._head = head
        self._random = random
        self._request_id = b"" if head.trace is None else head.trace[0].encode("ascii")

    def value(self, variable: str) -> bytes:
        """Return the value of a variable; the id of the request is the same for server and client."""
        if variable == "client_address":
            address = self._client.client_address
            return b"unix:" if address is None else str(address).encode()
        if variable == "host":
            return self._head.forwarded_host or self._head.host
        if variable == "scheme":
            return self._client.scheme.encode()
        assert variable == "request_id"
        self._request_id = self._request_id or b"%032x" % self._random.getrandbits(128)
        return self._request_id


def _answer_of(route: Route, location: bytes, lines: bytes) -> OwnAnswer:
    if route.respond is not None:
        respond = route.respond

        def build_fixed(close: bool, head_only: bool) -> bytes:
            return build_answer(respond, lines, close=close, head_only=head_only)

        return OwnAnswer(Outcome.COMPLETED, respond.status, build_fixed, False)
    if not location:
        return refusal(Outcome.CLIENT_BAD_REQUEST, 400, _NO_HOST)
    status = route.redirect.status if route.redirect is not None else 307

    def build(close: bool, head_only: bool) -> bytes:
        return build_redirect(status, location, lines, close=close, head_only=head_only)

    return OwnAnswer(Outcome.COMPLETED, status, build, False)


def build_steering(
    listener: Listener, router: Router, pools: dict[str, UpstreamPool], random: Random
) -> Steering | None:
    """Return what a listener needs beside its one pool; None when that is all there is to it."""
    has_rules = not (listener.request_headers.is_empty and listener.response_headers.is_empty)
    does_more = has_rules or listener.hsts is not None or listener.tracing.is_on
    if router.has_routes or does_more or listener.forwarding.trusted_proxies:
        return Steering(listener, router, pools, random)
    return None
