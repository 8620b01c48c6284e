"""Rules of one proxy of haproxy.cfg, read in their order: answers without a server, headers, who is let in.

Responsible for http-request, http-response, tcp-request, redirect and their forerunners (block, reqadd, rspadd). Knows
nothing of routes or of which servers requests go to.

Invariants: behind a rule that cannot be said and that changes what later ones look at, nothing is said that asks for it; a
rule that keeps clients out and cannot be said is listed as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from lbapp.config.values import is_field_name
from lbapp.migrate import haproxy_values as values
from lbapp.migrate import matches
from lbapp.migrate.haproxy_conditions import Choice, Scene, choices, choices_of_negation, condition_of
from lbapp.migrate.haproxy_found import Answer, Effects, Guard, HeaderChange
from lbapp.migrate.haproxy_known import is_rule_without_weight
from lbapp.migrate.outcome import Ledger, Line

_REFUSALS: Final = ("deny", "reject", "tarpit", "silent-drop", "block")
_ACCEPTS: Final = ("allow", "accept")
_HEADERS: Final = {"set-header": "set", "add-header": "add", "del-header": "remove"}
_TARGETS: Final = (
    "set-path",
    "replace-path",
    "set-uri",
    "replace-uri",
    "set-query",
    "set-pathq",
    "replace-pathq",
    "set-method",
    "normalize-uri",
)
_RATE: Final = re.compile(
    r"(?:src|sc0?)_(http_req_rate|conn_cur)(?:\((?:0|[A-Za-z0-9_.-]+)\))?|sc[0-2]_(http_req_rate|conn_cur)"
).fullmatch
_OURS: Final = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "forwarded",
    "via",
    "expect",
)
_OURS_SAY: Final = {
    "x-forwarded-for": "{client_address}",
    "x-forwarded-host": "{host}",
    "x-forwarded-proto": "{scheme}",
}
_OLD: Final = {
    "reqadd": ("request", "add"),
    "rspadd": ("response", "add"),
    "reqdel": ("request", "remove"),
    "reqidel": ("request", "remove"),
    "rspdel": ("response", "remove"),
    "rspidel": ("response", "remove"),
    "reqrep": ("request", "set"),
    "reqirep": ("request", "set"),
}
_OF_CONNECTION: Final = ("connection", "keep-alive", "proxy-connection")
_OLD_REFUSALS: Final = ("reqdeny", "reqideny", "rspdeny", "rspideny", "reqtarpit", "reqitarpit")
Rule = tuple[str, ...]
_KEYS: Final = (
    "http-request",
    "http-response",
    "tcp-request",
    "redirect",
    "block",
    "monitor-uri",
    *_OLD,
    *_OLD_REFUSALS,
)
_OF_REQUESTS: Final = ("http-request", "redirect", *(key for key, (side, _) in _OLD.items() if side == "request"))


@dataclass
class _Spared:
    """The networks that an allow lets past the rules behind it, and how many answers stood before it."""

    networks: tuple[str, ...]
    sources: tuple[str, ...]
    line: Line
    answers: int
    is_used: bool = False


@dataclass
class Reader:
    """Reads the rules of one proxy. `periods_s`: over how long stick tables count requests, with the lines that say so."""

    scene: Scene
    ledger: Ledger
    periods_s: dict[float, tuple[str, ...]]
    is_front: bool
    effects: Effects = field(default_factory=Effects)
    tracks: list[Line] = field(default_factory=list)
    spared: _Spared | None = None

    def read(self, lines: Iterable[Line]) -> Effects:
        """Read the rules: those of http-request before redirects, as HAProxy does."""
        order = {"monitor-uri": 0, "tcp-request": 1, "block": 2, "http-request": 3}
        every = list(lines)
        for line in sorted((each for each in every if each.key in _KEYS), key=lambda each: order.get(each.key, 4)):
            if line.key in _OF_REQUESTS and any(_is_everybody(each.choice) for each in self.effects.answers):
                self.ledger.not_needed(line, "everything is answered before it")
            else:
                self._rule(line)
        for line in every:
            if line.words[:2] == ("option", "forwardfor"):
                self._forwarded(line)
        used = {number for _, sources in self.effects.limits.values() for number in sources}
        for line in self.tracks:
            if line.number not in used:
                self.ledger.left(line, "lbapp counts what a client does by itself, and only for [listener.admission]")
        if self.spared is not None and not self.spared.is_used:
            self.ledger.left(
                self.spared.line, "whom a rule lets in past the others cannot be said; those behind it hold for all"
            )
        return self.effects

    def _rule(self, line: Line) -> None:
        words = list(line.words[1:])
        if line.key == "tcp-request" and words[:1] in (["connection"], ["content"], ["session"]):
            words = words[1:]
        if line.key in ("redirect", "block"):
            words = [line.key, *words]
        rule, condition = condition_of(words)
        if rule:
            self._handler(line, rule[0])(line, rule, condition)

    def _handler(self, line: Line, action: str) -> Callable[[Line, Rule, Rule], None]:
        if action in _REFUSALS or action == "auth" or line.key in _OLD_REFUSALS:
            return self._refuse
        if line.key in _OLD:
            return self._old
        if line.key == "monitor-uri":
            return self._monitor
        if action in _ACCEPTS:
            return self._accept
        if is_rule_without_weight(line):
            return self._without_weight
        if action.startswith("track-sc"):
            return self._track
        if action in _HEADERS and line.key != "tcp-request":
            return self._header
        of_requests = {"return": self._answer, "redirect": self._answer, **dict.fromkeys(_TARGETS, self._target)}
        return of_requests.get(action, self._unknown) if line.key in ("http-request", "redirect") else self._unknown

    def _without_weight(self, line: Line, _rule: Rule, _condition: Rule) -> None:
        self.ledger.not_needed(line, "it changes nothing that clients or servers meet")

    def _track(self, line: Line, rule: Rule, condition: Rule) -> None:
        if "src" in rule and not condition:
            self.tracks.append(line)
        else:
            self._unknown(line, rule, condition)

    def _unknown(self, line: Line, rule: Rule, _condition: Rule) -> None:
        if rule[0] in ("replace-header", "replace-value") and len(rule) > 1:
            self.scene.changed.add(rule[1].lower())
        if "prometheus-exporter" in rule:
            self.ledger.not_needed(line, "for Prometheus there is [metrics] bind")
        else:
            self.ledger.left(line, "lbapp has no such rule")

    def _refuse(self, line: Line, rule: Rule, condition: Rule) -> None:
        self.ledger.keeps_out(line)
        if line.key in ("http-response", "tcp-response") or rule[0] == "auth" or line.key in _OLD_REFUSALS:
            self.ledger.left(line, "lbapp has no such rule")
            return
        if self._limit(line, condition):
            return
        found = choices(self.scene, condition)
        spared = choices_of_negation(self.scene, condition) if found is None and self.scene.is_http else None
        if spared and any(each.match == {} and each.clients is None for each in spared):
            self.ledger.not_needed(line, "it never holds where clients come in")
            return
        if spared and not self.effects.is_closed and all(each.clients is None for each in spared):
            self.effects.guards.append(Guard(spared, self._status(line, rule), line, len(self.effects.answers)))
            return
        if found is None or (self.effects.is_closed and any(each.match for each in found)):
            self.ledger.left(line, "lbapp cannot ask for this; see [listener.admission], or a route with respond")
            return
        if not found:
            self.ledger.not_needed(line, "it never holds where clients come in")
        for choice in found:
            self._refuse_choice(line, rule, choice)

    def _refuse_choice(self, line: Line, rule: Rule, choice: Choice) -> None:
        effects, sources = self.effects, (line.number, *choice.sources)
        if choice.clients is not None and (choice.match or not self.is_front):
            self.ledger.left(line, "lbapp knows networks of clients for a whole listener only, in [listener.admission]")
        elif choice.clients is not None:
            is_inside, networks = choice.clients
            if not is_inside and effects.allow:
                self.ledger.left(line, "there is one list of whom to let in already")
            else:
                if line.key != "tcp-request" and rule != ("deny",):
                    self.ledger.differs(line, "lbapp answers 403")
                (effects.deny if is_inside else effects.allow).append((networks, sources))
        elif (
            choice.match == {}
            and self.spared is not None
            and self.spared.answers == len(effects.answers)
            and self.is_front
        ):
            self.spared.is_used = True
            effects.allow.append((self.spared.networks, (*sources, *self.spared.sources)))
        elif not self.scene.is_http:
            self.ledger.left(line, "lbapp has no such rule for tcp")
        else:
            effects.answers.append(Answer(choice, "respond", {"status": self._status(line, rule)}, line))

    def _status(self, line: Line, rule: Rule) -> int:
        wanted = rule[rule.index("deny_status") + 1] if "deny_status" in rule[:-1] else ""
        if rule[0] in ("tarpit", "reject", "silent-drop"):
            self.ledger.differs(line, "lbapp answers 403 at once")
        elif wanted and (not wanted.isdigit() or int(wanted) not in values.STATUSES):
            self.ledger.differs(line, "the status is 403")
        elif wanted:
            return int(wanted)
        return 403

    def _limit(self, line: Line, condition: Rule) -> bool:
        """Take a limit of what one client may do: `sc_http_req_rate(0) gt 20`, `src_conn_cur ge 10`."""
        words, sources = self._criterion(condition)
        match = _RATE(words[0]) if len(words) == 3 and words[2].isdigit() and words[1] in ("gt", "ge") else None
        if match is None or not self.is_front:
            return False
        count = int(words[2]) - (words[1] == "ge")
        self.scene.said |= set(sources)
        tracked = [each for each in self.tracks if "src" in each.words[2:4]]
        sources = (line.number, *sources, *(each.number for each in tracked))
        if (match[1] or match[2]) == "conn_cur":
            self.effects.limits["client_connections_max"] = (count, sources)
            return count > 0
        if len(self.periods_s) != 1 or not self.scene.is_http or (not tracked and not words[0].startswith("src")):
            return False
        ((period_s, tables),) = self.periods_s.items()
        rate = values.rate(count, period_s)
        if rate is None:
            return False
        known = self.effects.limits.get("client_burst")
        if known is not None and known[0] <= count:
            self.ledger.differs(line, f"a client is kept to {known[0]} requests already")
            count, rate = known[0], self.effects.limits["client_request_rate"][0]
            sources = (*sources, *known[1])
        self.effects.limits["client_request_rate"] = (rate, (*sources, *tables))
        self.effects.limits["client_burst"] = (count, sources)
        self.ledger.differs(line, f"a client may send {count} requests at once and then {rate}; beyond it, it gets 429")
        return True

    def _criterion(self, condition: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the words of a condition that is one criterion, and the ACL that it stands in."""
        words = tuple(condition[1:])
        if words[:1] == ("{",) and words[-1:] == ("}",) and words.count("{") == 1:
            return words[1:-1], ()
        lines = self.scene.acls.get(words[0], []) if len(words) == 1 else []
        return (lines[0].words[2:], (lines[0].number,)) if len(lines) == 1 and condition[0] == "if" else ((), ())

    def _accept(self, line: Line, _rule: Rule, condition: Rule) -> None:
        found = choices(self.scene, condition)
        if found == [] or (line.key == "tcp-request" and found == [Choice({})]):
            self.ledger.not_needed(line, "it lets in whom no rule keeps out")
        elif line.key == "tcp-request" and any("hello_type" in word for word in self._criterion(condition)[0]):
            self.ledger.not_needed(line, "lbapp waits for the TLS hello where a route asks for a name")
        elif found is not None and len(found) == 1 and _is_only_clients(found[0]):
            assert found[0].clients is not None
            sources = (line.number, *found[0].sources)
            self.spared = _Spared(found[0].clients[1], sources, line, len(self.effects.answers))
        else:
            self.ledger.left(line, "whom a rule lets in past the others cannot be said; those behind it hold for all")

    def _answer(self, line: Line, rule: Rule, condition: Rule) -> None:
        found = choices(self.scene, condition)
        key, made = (
            ("redirect", values.redirect(tuple(rule[1:])))
            if rule[0] == "redirect"
            else ("respond", values.returned(rule[1:]))
        )
        if found == []:
            self.ledger.not_needed(line, "it never holds where clients come in")
            return
        asks = found is None or self.effects.is_closed or any(each.clients is not None for each in found)
        if made is None or asks:
            self.ledger.left(
                line, "its condition cannot be said in lbapp's words" if asks else "lbapp cannot answer so"
            )
            return
        for note in made[1]:
            self.ledger.differs(line, note)
        for choice in found or ():
            self.effects.answers.append(Answer(choice, key, made[0], line))

    def _monitor(self, line: Line, _rule: Rule, _condition: Rule) -> None:
        found = matches.exactly(line.words[1]) if self.scene.is_http else None
        if found is None:
            self.ledger.left(line, "it is no path")
        else:
            self.effects.answers.append(Answer(Choice(found), "respond", {"status": 200}, line))

    def _old(self, line: Line, text: Rule, condition: Rule) -> None:
        how = _OLD[line.key][1]
        name, colon, value = text[-1].partition(":")
        if name.removeprefix("^").lower() in _OF_CONNECTION and how != "set":
            self.ledger.not_needed(line, "lbapp says by itself whether a connection stays open")
            return
        if how == "set":  # of the many forms this has, the one that says a Host in place of every other
            if (
                len(text) != 2
                or not re.fullmatch(r"\^Host:(?:\s*\.\*)?", text[0], re.IGNORECASE)
                or name.lower() != "host"
            ):
                self._rewrite(line, text[0])
                return
        elif how == "add" and not colon:
            self.ledger.left(line, "it is no header")
            return
        elif how == "remove" and (not colon or value.strip() not in ("", ".*")):
            self.ledger.left(line, "lbapp removes headers by their whole names, and whatever they say")
            return
        action = {"set": "set-header", "add": "add-header", "remove": "del-header"}[how]
        name = name.removeprefix("^")
        self._header(line, (action, name) if how == "remove" else (action, name, value.strip()), condition)

    def _rewrite(self, line: Line, pattern: str) -> None:
        """Say of an expression over the lines of a request that it is not taken: behind it a header, or all, is another."""
        of_header = re.match(r"\^([A-Za-z0-9-]+):", pattern)
        if of_header:
            self.scene.changed.add(of_header[1].lower())
        else:
            self.effects.is_closed = True
        self.ledger.left(line, "lbapp has no such rule")

    def _forwarded(self, line: Line) -> None:
        """Take a header that servers get the client's address in, unless a frontend has said it already."""
        words = line.words[2:]
        name = words[words.index("header") + 1].lower() if "header" in words[:-1] else "x-forwarded-for"
        if name != "x-forwarded-for" and name not in self.scene.changed and self.scene.is_http and is_field_name(name):
            self.scene.changed.add(name)
            self.effects.headers.append(HeaderChange("request", "set", name, "{client_address}", line))

    def _header(self, line: Line, rule: Rule, condition: Rule) -> None:
        side = _OLD[line.key][0] if line.key in _OLD else line.key.removeprefix("http-")
        how, name = _HEADERS[rule[0]], rule[1] if len(rule) > 1 else ""
        value = values.template(rule[2]) if len(rule) == 3 else "" if len(rule) == 2 and how == "remove" else None
        found = choices(self.scene, condition)
        if found == []:
            self.ledger.not_needed(line, "it never holds where clients come in")
            return
        if side == "request":
            self.scene.changed.add(name.lower())
        if side == "request" and name.lower() in _OURS:
            self._ours(line, name.lower(), how, value)
        elif found is None or not any(each.match == {} and each.clients is None for each in found):
            self.ledger.left(
                line, "lbapp changes headers of all requests of a listener or route, under no other condition"
            )
        elif value is None or not is_field_name(name):
            self.ledger.left(line, "its name or value cannot be said in lbapp's words")
        else:
            self.effects.headers.append(HeaderChange(side, how, name.lower(), value, line))

    def _ours(self, line: Line, name: str, how: str, value: str | None) -> None:
        scheme = "https" if self.scene.is_tls else "http"
        if how == "remove" or (
            name in _OURS_SAY and value in (_OURS_SAY[name], scheme if name.endswith("proto") else None)
        ):
            self.ledger.not_needed(line, "lbapp says it itself, and drops what clients say of it")
        else:
            self.ledger.left(
                line, "lbapp says X-Forwarded-For, -Proto and -Host itself, of what it sees; no others of these"
            )

    def _target(self, line: Line, rule: Rule, condition: Rule) -> None:
        prefix = values.stripped(rule[0], tuple(rule[1:]))
        is_conditional = choices(self.scene, condition) != [Choice({})]
        if prefix is None or is_conditional or self.is_front or self.effects.strip is not None:
            self.effects.is_closed = True
            self.ledger.left(line, "lbapp changes a path by strip_prefix and replace_prefix of a route only")
            return
        self.effects.strip = (prefix, line)


def _is_everybody(choice: Choice) -> bool:
    return choice.match == {} and choice.clients is None


def _is_only_clients(choice: Choice) -> bool:
    return choice.clients is not None and choice.clients[0] and not choice.match
