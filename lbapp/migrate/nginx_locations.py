"""Locations of one server block of nginx.conf as routes.

Responsible for the order in which nginx asks locations, and for what each does: pass on, answer, redirect, keep out. Knows
nothing of addresses or of names of servers.

Invariants: routes stand in the order in which nginx would take them; a location whose contents cannot be said takes its
requests all the same, and answers that it cannot serve them, so that none goes where nginx would not send it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lbapp.config.draft import Table
from lbapp.migrate import matches, nginx_values
from lbapp.migrate.matches import Match
from lbapp.migrate.nginx_headers import request_headers, response_headers
from lbapp.migrate.nginx_known import keeps_out
from lbapp.migrate.nginx_limits import Limits
from lbapp.migrate.nginx_pages import led_by_files, led_by_status, page_for
from lbapp.migrate.nginx_places import Place, in_order
from lbapp.migrate.nginx_pool import Pools
from lbapp.migrate.nginx_values import Scope, template
from lbapp.migrate.nginx_words import Directive
from lbapp.migrate.outcome import Ledger, Line

_NOT_SERVED: Final = (
    "fastcgi_pass",
    "uwsgi_pass",
    "scgi_pass",
    "grpc_pass",
    "memcached_pass",
    "content_by_lua_block",
    "content_by_lua_file",
)
_STATUSES: Final = (
    200,
    202,
    204,
    400,
    401,
    402,
    403,
    404,
    405,
    406,
    409,
    410,
    418,
    421,
    422,
    423,
    425,
    429,
    451,
    500,
    501,
    502,
    503,
    504,
)
_REDIRECTS: Final = ("301", "302", "303", "307", "308")
_NO_ROOM: Final = "a route cannot ask for this beside what else it has to ask for"
_AS_SENT: Final = (
    "it is taken for paths as they are written; nginx decodes them first, so that /%61 is /a to it and not here"
)


@dataclass
class Locations:
    """Makes the routes of one server block, on one listener."""

    listener: Table
    ledger: Ledger
    pools: Pools
    limits: Limits
    is_tls: bool
    error_pages: frozenset[str]

    def routes(self, scope: Scope, server: Directive, hosts: list[Match], *, is_last: bool) -> None:
        """Make the routes of a server block for requests with one of these hosts; `is_last`: for all others, too."""
        bases = [{}] if is_last else hosts
        if self._rewrites(bases, scope, server, server):
            self._say_answered(server)
            return
        places = list(self._places(scope, server, None))
        for place in places:
            if place.found is None:
                self._say_unsaid(place)
        self._with_slash(bases, places)
        for found in in_order(places):
            for match, place in found:
                self._place(matches_of(bases, match, self.ledger, place.directive.line), place, is_last=is_last)
        if not any(place.kind == "" and place.prefix == "/" for place in places):
            for base in bases if not is_last else ():
                self._respond(self._route(base, server.line), 404, server.line)
            self._say_of_files(scope, server)

    def _with_slash(self, bases: list[Match], places: list[Place]) -> None:
        """Lead who asks for the name of a location without its last slash to it, as nginx does where something is passed on."""
        known = {place.prefix for place in places if place.kind != "~"}
        for place in places:
            bare = place.prefix.rstrip("/")
            if bare and bare != place.prefix and bare not in known and any(place.directive.of("proxy_pass")):
                found = matches_of(bases, matches.exactly(bare) or {}, self.ledger, place.directive.line)
                self._give(found, place.directive, place.directive, "redirect", {"status": 301, "path": place.prefix})

    def _say_answered(self, block: Directive) -> None:
        said = self.ledger.said
        for each in block.all():
            if each.line.number not in said:
                self.ledger.not_needed(each.line, "everything is answered before it")

    def _say_unsaid(self, place: Place) -> None:
        why = "its expression cannot be said in lbapp's words; what it took goes to the other locations"
        if keeps_out(place.directive):
            self.ledger.keeps_out(place.directive.line)
        for each in place.directive.all():
            self.ledger.left(each.line, why)

    def _say_of_files(self, scope: Scope, server: Directive) -> None:
        for each in scope.nearest("root", "try_files"):
            self.ledger.left(each.line, "lbapp serves no files; it answers 404")

    def _places(self, scope: Scope, block: Directive, above: Match | None) -> Iterator[Place]:
        for each in block.of("location"):
            place = self._read(scope, each, above)
            if place is None:
                continue  # one with a name is taken where others lead to it
            yield place
            yield from self._places(place.scope, each, {"path": place.prefix} if place.kind in ("", "^~") else above)

    def _read(self, scope: Scope, each: Directive, above: Match | None) -> Place | None:
        words = each.words
        if not words or words[0].startswith("@"):
            return None
        modifier, text = (words[0], words[1]) if len(words) > 1 else ("", words[0])
        inner = scope.inner(each.block)
        if modifier == "=":
            return Place("=", text, _one(matches.exactly(text)), each, inner)
        if modifier in ("", "^~"):
            return Place(modifier, text, _one({} if text == "/" else matches.prefix(text)), each, inner)
        if modifier not in ("~", "~*"):
            return None
        found = matches.searched(text, any_case=modifier == "~*")
        if found is not None and above is not None:
            found = [match for one in found for match in matches.both(above, one) or ()]
        return Place("~", "", found, each, inner)

    def _place(self, bases: list[Match], place: Place, *, is_last: bool) -> None:
        """Make the routes of a location."""
        place = led_by_status(place, self.ledger)
        if self._rewrites(bases, place.scope, place.directive, place.directive):
            self._say_answered(place.directive)
            return
        if self._keeps_out(bases, place):
            return
        asked, place = place, led_by_files(place, self.ledger)
        passed = next(place.directive.of("proxy_pass"), None)
        target = None if passed is None else self._target(passed, place)
        unserved = next(place.directive.of(*_NOT_SERVED), None)
        if passed is not None and target is not None:
            self.limits.of_place(asked.scope)  # how long a body may be is judged where it is asked for
            self._pass(bases, place, passed, target, is_last=is_last)
        elif passed is not None or unserved is not None:
            line = (passed or unserved or place.directive).line
            self.ledger.left(line, "lbapp cannot pass on so; what is asked for here is answered with 503")
            self._answer(bases, place, 503)
        else:
            self._answer(bases, place, 404)
            if place.kind == "=" and place.prefix in self.error_pages:
                for each in place.directive.all():
                    self.ledger.not_needed(each.line, "it is a page for errors, for which lbapp has its own")
            elif not any(place.directive.of("location")):
                self._say_left(place, "lbapp serves no files; what is asked for here is answered with 404")

    def _say_left(self, place: Place, why: str) -> None:
        is_status = any(place.directive.of("stub_status"))
        for each in (
            place.directive,
            *place.directive.of("root", "alias", "try_files", "stub_status", "autoindex", "expires"),
        ):
            if is_status:
                self.ledger.not_needed(each.line, "lbapp shows it in the console, `lbapp status` and /metrics")
            else:
                self.ledger.left(each.line, why)

    def _keeps_out(self, bases: list[Match], place: Place) -> bool:
        """Say whether a location keeps everybody out, which a route can say."""
        rules = [each for each in place.directive.block or () if each.name in ("allow", "deny", "internal")]
        if any(each.name == "internal" for each in rules):
            status = 404
        elif rules and all(each.name == "deny" for each in rules) and any(each.words == ("all",) for each in rules):
            status = 403
        else:
            for each in rules:
                if each.words != ("all",) or each.name != "allow" or len(rules) > 1:
                    self.ledger.left(
                        each.line, "lbapp knows networks of clients for a whole listener only, in [listener.admission]"
                    )
            return False
        self._answer(bases, place, status, *rules)
        self._say_as_sent(place.directive)
        return True

    def _say_as_sent(self, directive: Directive) -> None:
        self.ledger.keeps_out(directive.line)
        self.ledger.left(directive.line, _AS_SENT)

    def _answer(self, bases: list[Match], place: Place, status: int, *because: Directive) -> None:
        for base in bases:
            self._respond(self._route(base, place.directive.line), status, *(each.line for each in because))

    def _rewrites(self, bases: list[Match], scope: Scope, block: Directive, at: Directive) -> bool:
        """Take what a block answers before it passes anything on; return whether it answers everything."""
        for each in block.block or ():
            if each.name == "return":
                self._return(bases, scope, each, at)
                return True
            if each.name == "if":
                if self._if(bases, scope, each, at):
                    return True
            elif each.name == "break":
                self._say_behind(block, each)
                return False
            elif each.name == "rewrite" and (moved := nginx_values.moved(each.words)) is not None:
                self._redirect(bases, scope, each, at, moved)
                return True
            elif each.name == "rewrite" and (block.name == "server" or nginx_values.rewritten(each.words) is None):
                self.ledger.left(each.line, "lbapp changes a path by strip_prefix and replace_prefix of a route only")
        return False

    def _say_behind(self, block: Directive, end: Directive) -> None:
        """Say that nothing behind a break is asked."""
        self.ledger.not_needed(end.line, "lbapp changes a path once")
        directives = block.block or ()
        for each in directives[directives.index(end) + 1 :]:
            for part in each.all() if each.name in ("return", "if", "rewrite", "set", "break") else ():
                self.ledger.not_needed(part.line, "a break stands before it")

    def _if(self, bases: list[Match], scope: Scope, each: Directive, at: Directive) -> bool:
        """Take a condition with an answer; return whether it always holds."""
        found = self._condition(" ".join(each.words))
        inner = list(each.block or ())
        if found is None or len(inner) != 1 or inner[0].name != "return":
            for part in each.all():
                self.ledger.left(part.line, "its condition, or what is done then, cannot be said in lbapp's words")
            return False
        if not found:
            for part in each.all():
                self.ledger.not_needed(part.line, "it never holds where clients come in")
            return False
        for match in found:
            self._return(matches_of(bases, match, self.ledger, each.line), scope, inner[0], each)
        return found == [{}]

    def _condition(self, text: str) -> list[Match] | None:
        """Return what takes requests for which an `if` holds; []: none, None: it cannot be said."""
        words = text.strip().removeprefix("(").removesuffix(")").split()
        if len(words) == 1 and words[0] in ("$https", "$ssl_protocol"):
            return [{}] if self.is_tls else []
        if len(words) != 3 or words[1] not in ("=", "!="):
            return None
        variable, is_not, value = words[0], words[1] == "!=", words[2].strip("\"'")
        if variable in ("$scheme", "$https", "$ssl_protocol"):
            holds = self.is_tls is (value in ("https", "on")) if value in ("https", "http", "on", "") else None
            return None if holds is None else [{}] if holds is not is_not else []
        if is_not:
            return None
        if variable in ("$host", "$http_host"):
            return _one(matches.host(value))
        return _one(matches.method(value)) if variable == "$request_method" else None

    def _return(self, bases: list[Match], scope: Scope, each: Directive, at: Directive) -> None:
        status, text = (each.words[0], each.words[1] if len(each.words) > 1 else "") if each.words else ("", "")
        if status.startswith("http"):
            status, text = "302", status
        if status in _REDIRECTS:
            self._redirect(bases, scope, each, at, (status, text))
            return
        page = None if text else page_for(scope, status)
        if page is not None and page.is_other:
            self.ledger.left(page.directive.line, "lbapp does not go on from a status to another place")
            self._give(bases, each, at, "respond", None)
            return
        self._give(bases, each, at, "respond", self._returned(scope, each, status, text))
        if status[:1] == "4" and at.name == "location":
            self._say_as_sent(at)

    def _redirect(self, bases: list[Match], scope: Scope, each: Directive, at: Directive, to: tuple[str, str]) -> None:
        made = nginx_values.redirect(to[0], nginx_values.with_constants(to[1], scope.constants()))
        if made is not None and "path" in made and "{path}" not in made["path"] and "?" not in made["path"]:
            self.ledger.differs(each.line, "the query of the request follows")
        self._give(bases, each, at, "redirect", made)

    def _give(self, bases: list[Match], each: Directive, at: Directive, key: str, made: dict[str, Any] | None) -> None:
        if made is None:
            self.ledger.left(each.line, "lbapp cannot answer so; what is asked for here is answered with 503")
            key, made = "respond", {"status": 503}
        for base in bases:
            table = self._route(base, at.line).table(key, each.line.number)
            for name, value in made.items():
                table.put(name, value)

    def _returned(self, scope: Scope, each: Directive, status: str, text: str) -> dict[str, Any] | None:
        if status == "444":
            self.ledger.differs(each.line, "lbapp answers 403, and does not close without a word")
            return {"status": 403}
        body = template(text)
        if not status.isdigit() or int(status) not in _STATUSES or body is None or ("{" in body and "$" in text):
            return None
        kind = self._content_type(scope)
        return {
            "status": int(status),
            **({"body": body} if body else {}),
            **({"content_type": kind} if body and kind else {}),
        }

    def _content_type(self, scope: Scope) -> str:
        """Return the media type of an answer: as add_header says it, or as default_type does."""
        for each in scope.nearest("add_header"):
            if len(each.words) > 1 and each.words[0].lower() == "content-type":
                self.ledger.not_needed(each.line, "the answer has this type")
                return each.words[1]
        return scope.word("default_type")

    def _target(self, passed: Directive, place: Place) -> nginx_values.Target | None:
        text = nginx_values.with_constants(passed.words[0] if passed.words else "", place.scope.constants())
        found = nginx_values.target(text)
        if found is None or "$" in text or (place.kind == "~" and found.uri):
            return None
        return found if not found.uri or nginx_values.stripped(place.prefix, found.uri) is not None else None

    def _pass(
        self, bases: list[Match], place: Place, passed: Directive, target: nginx_values.Target, *, is_last: bool
    ) -> None:
        pool = self.pools.named(target.place, place.scope, passed, is_tls=target.is_tls, is_http=True)
        self.limits.of_place(place.scope)
        change, sources = self._change(place, target, passed)
        request = request_headers(self.ledger, place.scope, target, passed, is_tls=self.is_tls)
        response = response_headers(self.ledger, place.scope)
        is_plain = not change and not request.values and not response.values
        for base in bases:
            if base == {} and is_last and is_plain and place.kind == "":
                self.listener.put("pool", pool, passed.line.number, place.directive.line.number)
                continue
            route = self._route(base, place.directive.line)
            route.put("pool", pool, passed.line.number)
            for key, value in change.items():
                if isinstance(value, dict):
                    for name, each in value.items():
                        route.table(key, *sources).put(name, each)
                else:
                    route.put(key, value, *sources)
            for key, table in (("request_headers", request), ("response_headers", response)):
                if table.values:
                    route.values[key] = table

    def _change(self, place: Place, target: nginx_values.Target, passed: Directive) -> tuple[dict[str, Any], list[str]]:
        """Return the keys of a route that change the path, and the lines that ask for it."""
        for each in place.directive.of("rewrite"):
            prefix = nginx_values.rewritten(each.words)
            if prefix is not None and not target.uri:
                return {"strip_prefix": prefix}, [each.line.number]
        return (nginx_values.stripped(place.prefix, target.uri) or {}) if target.uri else {}, [passed.line.number]

    def _route(self, match: Match, line: Line) -> Table:
        route = self.listener.add("route", line.number)
        for key, value in match.items():
            route.put(key, value)
        return route

    def _respond(self, route: Table, status: int, *lines: Line) -> None:
        route.table("respond", *(line.number for line in lines)).put("status", status)


def matches_of(bases: list[Match], match: Match, ledger: Ledger, line: Line) -> list[Match]:
    """Return what takes what one of the bases takes and a match takes as well."""
    found: list[Match] = []
    for base in bases:
        both = matches.both(base, match)
        if both is None:
            ledger.left(line, _NO_ROOM)
        found += both or []
    return found


def _one(found: Match | None) -> list[Match] | None:
    return None if found is None else [found]
