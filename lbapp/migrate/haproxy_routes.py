"""From frontends and listens of haproxy.cfg to listeners with their routes.

Responsible for the order in which rules of a frontend, use_backend, and rules of the backends become routes. Knows nothing of
what a single rule or condition says.

Invariant: a request never goes where HAProxy would not send it because half of a rule was taken: behind a use_backend that
cannot be said, no other is taken, as it might have come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from lbapp.config.draft import Table
from lbapp.migrate import amounts, haproxy_binds, matches
from lbapp.migrate.haproxy_conditions import Choice, Choices, Scene, acls_of, choices
from lbapp.migrate.haproxy_effects import Reader
from lbapp.migrate.haproxy_found import Answer, Effects, Guard, HeaderChange
from lbapp.migrate.haproxy_words import Section
from lbapp.migrate.outcome import Ledger, Line

_NO_BACKEND: Final = "its conditions cannot be said in lbapp's words"


@dataclass
class File:
    """What of the whole file a listener asks for. `pools`: the sections with servers, by name."""

    ledger: Ledger
    pools: dict[str, Section]
    periods_s: dict[float, tuple[str, ...]]
    crt_base: str
    tls_only_13: Line | None


def mode_of(section: Section) -> tuple[str, list[str]]:
    """Return the mode that holds, and the line that says so."""
    found = [line for line in section.with_defaults() if line.key == "mode" and len(line.words) > 1]
    return (found[-1].words[1], [found[-1].number]) if found else ("tcp", [])


def is_only_shown(section: Section, pools: dict[str, Section]) -> bool:
    """Say whether a frontend, or a listen, is there for HAProxy's own figures alone."""
    lines = list(section.with_defaults())
    leads = section.name in pools or any(line.key in ("use_backend", "default_backend") for line in lines)
    shows = any(line.key == "stats" or "prometheus-exporter" in line.words for line in section.lines)
    return section.kind != "backend" and shows and not leads


def listeners(draft: Table, file: File, section: Section) -> None:
    """Take a frontend, or a listen, as one listener for each TLS and each set of options."""
    mode, mode_sources = mode_of(section)
    lines = list(section.with_defaults())
    if mode not in ("http", "tcp"):
        file.ledger.left(section.head, f"lbapp has no mode {mode}")
        return
    if is_only_shown(section, file.pools):
        for line in (section.head, *section.lines):
            file.ledger.not_needed(line, "what it shows is in the console, in `lbapp status` and /metrics")
        return
    found = haproxy_binds.groups(file.ledger, [*_binds_of_old(section), *lines], file.crt_base)
    made: list[Table] = []
    for group in found:
        listener = Table()
        listener.note(section.head.number)
        suffix = f"-{len(made) + 1}" if made else ""
        listener.put("name", amounts.name(section.name)[: 60 if suffix else 63] + suffix, section.head.number)
        haproxy_binds.put(listener, group)
        if file.tls_only_13 is not None and group.is_tls and "ssl-min-ver" not in " ".join(group.binds[0].line.words):
            listener.table("tls").put("min_version", "1.3", file.tls_only_13.number)
        _trace(listener, lines if mode == "http" else [])
        listener.put("protocol", mode, *mode_sources)
        scene = Scene(acls_of(lines), group.is_tls, group.ports, mode == "http")
        _Front(file, section, lines, listener, scene).fill()
        if "pool" in listener.values or "route" in listener.values:
            made.append(listener)
        _say_of_acls(file.ledger, scene, lines)
    if made:
        draft.values.setdefault("listener", []).extend(made)
    elif found or not any(line.key == "bind" for line in lines):
        _say_that_it_leads_nowhere(file.ledger, section)


def _trace(listener: Table, lines: list[Line]) -> None:
    for line in lines:
        if line.key == "unique-id-header" and line.words[1:] == ("X-Request-ID",):
            listener.table("tracing").put("request_id", True, line.number)


def _binds_of_old(section: Section) -> list[Line]:
    """Return the address that stands behind the name of a proxy, as it did until HAProxy 1.6, as a bind line."""
    head = section.head
    return [Line(head.number, head.text, ("bind", *head.words[2:]))] if ":" in "".join(head.words[2:3]) else []


def _say_that_it_leads_nowhere(ledger: Ledger, section: Section) -> None:
    said = ledger.said
    for line in (section.head, *section.lines):
        if line is section.head or line.number not in said:
            ledger.left(line, "it leads to no server that lbapp could send to")


def _say_of_acls(ledger: Ledger, scene: Scene, lines: list[Line]) -> None:
    asked = {word.lstrip("!") for line in lines if line.key != "acl" for word in line.words}
    for line in (each for found in scene.acls.values() for each in found):
        if line.number in scene.said:
            ledger.not_needed(line, "the rules that ask it are said without it")
        elif line.words[1] not in asked:
            ledger.not_needed(line, "no rule asks it")


@dataclass
class _Front:
    """A listener while its routes are made."""

    file: File
    section: Section
    lines: list[Line]
    listener: Table
    scene: Scene
    is_done: bool = False  # nothing is left that could be led anywhere else

    def fill(self) -> None:
        effects = self._effects(self.section, self.lines, self.scene, is_front=True)
        self._admit(effects)
        for change in effects.headers:
            _change(self.listener, change)
        self._lead(Choice({}), effects, lambda past: self._choose(past, is_closed=effects.is_closed), self.section.head)

    def _lead(self, base: Choice, effects: Effects, onward: Callable[[Choices], None], line: Line) -> None:
        """Lead what a choice takes by answers and guards, and what is past them onward."""
        past, rest = [base], list(effects.guards)
        for at in range(len(effects.answers) + 1):
            while rest and rest[0].answers == at:
                past = self._past(past, rest.pop(0))
            if at < len(effects.answers):
                self._answer(effects.answers[at], past, line)
        onward(past)
        for guard in effects.guards[:1]:
            self._answer(Answer(Choice({}), "respond", {"status": guard.status}, guard.line), [base], line)

    def _past(self, past: Choices, guard: Guard) -> Choices:
        found: Choices = []
        for one in past:
            for other in guard.choices:
                both = matches.both(one.match, other.match)
                if both is None:
                    self.file.ledger.left(guard.line, "lbapp cannot ask for this and for what a rule before it asks")
                sources = (*one.sources, *other.sources, guard.line.number)
                found += [Choice(match, sources) for match in ([one.match] if both is None else both)]
        return found

    def _choose(self, past: Choices, *, is_closed: bool) -> None:
        ledger = self.file.ledger
        for line in self.lines:
            if line.key == "use_backend":
                is_closed = not self._use(line, past, is_closed=is_closed) or is_closed
        default = [line for line in self.lines if line.key == "default_backend" and len(line.words) == 2]
        serves_itself = self.section.kind == "listen" and self.section.name in self.file.pools
        if default and default[-1].words[1] not in self.file.pools:
            ledger.left(default[-1], "there is no such backend")
        elif default:
            self._all_to_pool(past, default[-1].words[1], default[-1])
        elif serves_itself:
            self._all_to_pool(past, self.section.name, self.section.head)

    def _all_to_pool(self, found: Choices, pool: str, line: Line) -> None:
        if self.is_done:
            self.file.ledger.not_needed(line, "everything is led elsewhere before it")
            return
        for choice in found:
            self._to_pool(choice, pool, line)
        self.is_done = any(choice.match == {} for choice in found)

    def _effects(self, section: Section, lines: Iterable[Line], scene: Scene, *, is_front: bool) -> Effects:
        return Reader(scene, self.file.ledger, self.file.periods_s, is_front).read(lines)

    def _admit(self, effects: Effects) -> None:
        admission = Table()
        for key, found in (("allow", effects.allow), ("deny", effects.deny)):
            for networks, sources in found:
                admission.put(key, [*admission.values.get(key, []), *networks], *sources)
        for key, (value, sources) in effects.limits.items():
            admission.put(key, value, *sources)
        for line in self.lines:
            if line.key == "maxconn" and len(line.words) == 2 and line.words[1].isdigit() and line.words[1] != "0":
                admission.put("connections_max", int(line.words[1]), line.number)
                self.file.ledger.differs(line, "HAProxy lets clients wait beyond it, lbapp answers 503")
        if admission.values:
            self.listener.values["admission"] = admission

    def _use(self, line: Line, past: Choices, *, is_closed: bool) -> bool:
        """Take a use_backend; return whether it could be said."""
        ledger = self.file.ledger
        found: Choices | None = None
        if not is_closed and len(line.words) > 1 and line.words[1] in self.file.pools:
            found = choices(self.scene, line.words[2:])
        if found is None or any(each.clients is not None for each in found):
            ledger.left(line, "a rule before it is not taken" if is_closed else _NO_BACKEND)
            return False
        if not found:
            ledger.not_needed(line, "it never holds where clients come in")
        for choice in found:
            for note in choice.notes:
                ledger.differs(line, note)
            self._all_to_pool(self._both(choice, past, line, line), line.words[1], line)
        return True

    def _both(self, choice: Choice, past: Choices, line: Line, other: Line) -> Choices:
        """Return what takes what a choice takes and is past all guards."""
        found: Choices = []
        for one in past:
            both = matches.both(one.match, choice.match)
            if both is None:
                self.file.ledger.left(line, f"a route cannot ask for this and for what line {other.number} asks")
            found += [Choice(match, (*one.sources, *choice.sources)) for match in both or ()]
        return found

    def _to_pool(self, choice: Choice, pool: str, line: Line) -> None:
        """Lead what a choice takes to a pool, by way of the rules of the backend."""
        section = self.file.pools[pool]
        effects = Effects()
        if section is not self.section:
            lines = list(section.with_defaults())
            scene = Scene(
                acls_of(lines), self.scene.is_tls, self.scene.ports, self.scene.is_http, set(self.scene.changed)
            )
            effects = self._effects(section, lines, scene, is_front=False)
            _say_of_acls(self.file.ledger, scene, lines)
        self._lead(choice, effects, lambda past: self._end(past, pool, effects, line), line)

    def _end(self, past: Choices, pool: str, effects: Effects, line: Line) -> None:
        for choice in past:
            self._end_one(choice, pool, effects, line)

    def _end_one(self, choice: Choice, pool: str, effects: Effects, line: Line) -> None:
        if choice.match == {} and not effects.headers and effects.strip is None:
            self.listener.put("pool", amounts.name(pool), line.number)
            return
        route = self._route(choice, line)
        route.put("pool", amounts.name(pool), line.number)
        for change in effects.headers:
            _change(route, change)
        if effects.strip is not None:
            prefix, strip_line = effects.strip
            route.put("strip_prefix", prefix, strip_line.number)

    def _answer(self, answer: Answer, past: Choices, line: Line) -> None:
        for note in answer.choice.notes:
            self.file.ledger.differs(answer.line, note)
        for choice in self._both(answer.choice, past, answer.line, line):
            table = self._route(choice, answer.line).table(answer.key, answer.line.number)
            for key, value in answer.table.items():
                table.put(key, value)

    def _route(self, choice: Choice, line: Line) -> Table:
        route = self.listener.add("route", line.number)
        for key, value in choice.match.items():
            route.put(key, value, *choice.sources)
        return route


def _change(of: Table, change: HeaderChange) -> None:
    table = of.table(f"{change.side}_headers", change.line.number)
    if change.how == "remove":
        table.put("remove", [*table.values.get("remove", []), change.name], change.line.number)
    else:
        table.put(change.how, {**table.values.get(change.how, {}), change.name: change.value}, change.line.number)
