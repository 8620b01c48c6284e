"""Another configuration in the place of the one that serves: reload, confirmation, rollback.

Responsible for the order of what has to happen so that a configuration is applied whole or not at all, and for what becomes of
one that nobody confirms. Knows nothing of how the parts of a generation work, nor of HTTP.

Invariants: until every worker is ready nothing has changed, and whatever goes wrong leaves everything as it was; from then on
nothing can fail; what serves is on disk before it does; one thing changes at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from lbapp.config.load import parse_configuration, parse_for, read_text
from lbapp.control.changes import Difference, ReloadDone
from lbapp.engine.channel import Discard
from lbapp.engine.policy.reload import CannotReload, Planned, Version, plan_reload
from lbapp.engine.supervisor.bodies import How
from lbapp.engine.supervisor.configurations import (
    APPLIED,
    EDITED,
    FROM_FILE,
    REVERTED,
    UNCONFIRMED,
    Chosen,
    Configurations,
    Kept,
    NotKept,
    Source,
    check_number,
    digest_of,
    version_of,
)
from lbapp.engine.supervisor.departures import Departures
from lbapp.engine.supervisor.events import ENGINE, Signal
from lbapp.engine.supervisor.generation import Generation, Lasting
from lbapp.engine.supervisor.log_target import check_log
from lbapp.engine.supervisor.metrics_port import metrics_warnings
from lbapp.engine.supervisor.overload import warnings as overload_warnings
from lbapp.engine.supervisor.persistence import prepare
from lbapp.engine.supervisor.reload_words import (
    UPGRADE,
    check_digest,
    check_nothing_pending,
    clock,
    done_of,
    edits_of,
    invalid_configuration,
    no_configuration,
    refusal_of,
    stays_of,
    summary,
)
from lbapp.engine.supervisor.sockets import check_sources
from lbapp.engine.supervisor.sockets import warnings as listening_warnings
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError, RequestRefused

_REVERT_AGAIN_S: Final = 5.0  # after one that could not be taken back


class Reloads:
    """The only one who replaces the generation. `served` is called with each that has begun."""

    def __init__(self, path: Path, lasting: Lasting, configurations: Configurations, departures: Departures) -> None:
        self.generation: Generation
        self.version: Version
        self.text: str  # of what serves
        self._in_file: Configuration  # as it was read last
        self._origin: str  # the digest of the file that what serves came from
        self.served: Callable[[Generation], None] = lambda _: None
        self._path = path
        self._lasting = lasting
        self._configurations = configurations
        self._departures = departures
        self.pending_changed = Signal()
        self._complaint = ""  # why the last one that was not confirmed is still there

    def start_with(self, generation: Generation, chosen: Chosen) -> None:
        """Take over what the engine has started with."""
        self.generation, self.version, self.text = generation, chosen.version, chosen.text
        self._in_file = chosen.in_file
        self._origin = digest_of(chosen.text) if chosen.applied is None else chosen.applied.origin

    # -- what operators ask for --------------------------------------------------------------------------------------

    async def reload(self, how: How, expect_digest: str = "") -> ReloadDone:
        """Apply the file as it is now. As long as it says what it did, servers that were added and removed since stay so.

        `expect_digest`: that of the file that is meant; empty: any. Raises RequestRefused 422 invalid_configuration, 409
        changed | cannot_reload | unconfirmed | worker_refused, 503 not_recorded.
        """
        async with self._lasting.changing:
            check_nothing_pending(self._lasting.applied)
            try:
                text = await anyio.to_thread.run_sync(read_text, self._path)
                check_digest(self._path, text, expect_digest)
                configuration = await anyio.to_thread.run_sync(parse_for, self._path, text)
            except ConfigurationError as error:
                raise invalid_configuration(error) from error
            stays = stays_of(self._lasting.applied, self.edits()) if self._origin == digest_of(text) else ""
            if stays:
                self._lasting.check_serving()
                return self._done([], [stays], is_applied=False)
            return await self._apply(text, configuration, how)

    async def apply_text(self, made: Callable[[str], tuple[str, Source]], how: How, name: str) -> ReloadDone:
        """Apply a text that does not stand in the file, or look what that would do; `name` stands in problems.

        `made` returns the text and where it came from, given what serves when no other can come in between. Raises
        RequestRefused as reload does.
        """
        async with self._lasting.changing:
            if not how.is_dry:
                check_nothing_pending(self._lasting.applied)
            text, source = made(self.text)
            try:
                configuration = await anyio.to_thread.run_sync(parse_configuration, text, name)
            except ConfigurationError as error:
                raise invalid_configuration(error) from error
            return await self._apply(text, configuration, replace(how, source=source))

    async def rollback(self, number: int | None, how: How) -> ReloadDone:
        """Apply an earlier configuration, None: the one before the last. Raises as reload does, 404 unknown_configuration."""
        async with self._lasting.changing:
            check_number(self._lasting.applied, how.expect_number)
            kept = self._configurations.earlier(number)
            if kept is None:
                raise no_configuration(number)
            left = self._lasting.applied
            text, configuration = await self._kept(kept)
            source = self._configurations.source_of(kept) if kept.of == self._origin else FROM_FILE
            reason = how.reason or f"rollback to {kept.number}"
            done = await self._apply(text, configuration, replace(how, reason=reason, source=source))
            if done["applied"] and left is not None:
                await self._mark(left, REVERTED)  # or the next start would take the file, which still has it
            return done

    async def edit(self, decide: Callable[[], Callable[[str], str]], how: How) -> ReloadDone:
        """Apply what serves with a change to its text. The file stays as it is, and until it is another what was changed holds.

        `decide` is asked for the change when no other can come in between. Raises as reload and `decide` do.
        """
        async with self._lasting.changing:
            check_nothing_pending(self._lasting.applied)
            before = self._lasting.applied
            try:
                text = decide()(self.text)
                configuration = await anyio.to_thread.run_sync(parse_configuration, text, str(self._path))
            except KeyError as error:
                message = f"{error.args[0]} is gone just now"
                raise RequestRefused("unknown_server", message, "Look at it again, then repeat", 404) from error
            except ConfigurationError as error:
                raise invalid_configuration(error) from error
            source = Source() if before is None else self._configurations.source_of(before)
            source = replace(source, of=self._origin, is_edit=True)
            done = await self._apply(text, configuration, replace(how, source=source))
            if done["applied"] and before is not None:
                await self._mark(before, EDITED)
            return done

    async def confirm(self, how: How) -> Kept:
        """Have the configuration that serves stay. Raises RequestRefused 409 nothing_to_confirm | changed, 503 not_recorded."""
        async with self._lasting.changing:
            check_number(self._lasting.applied, how.expect_number)
            self._lasting.check_serving()
            pending = self._lasting.applied
            if pending is None or pending.state != UNCONFIRMED:
                message = "no configuration waits to be confirmed"
                raise RequestRefused("nothing_to_confirm", message, "See: lbapp configurations", 409)
            try:
                await anyio.to_thread.run_sync(self._configurations.mark, pending, APPLIED)
            except NotKept as error:
                raise RequestRefused("not_recorded", str(error), "Make it writable, then repeat", 503) from error
            self._lasting.applied = confirmed = self._configurations.number(pending.number)
            self.pending_changed.fire()
            message = f"configuration {pending.number} is confirmed: it stays"
            self._lasting.events.add("configuration_confirmed", "node", message, actor=how.actor)
            assert confirmed is not None
            return confirmed

    @property
    def applied(self) -> Kept | None:
        """The copy of what serves; None: it could not be kept."""
        return self._lasting.applied

    @property
    def path(self) -> Path:
        """The configuration file."""
        return self._path

    def is_of(self, text: str) -> bool:
        """Say whether what serves came from a file of this text, servers that were added and removed since aside."""
        return self._origin == digest_of(text)

    async def text_of(self, number: int) -> str:
        """Return the copy of a configuration. Raises RequestRefused 404 unknown_configuration."""
        kept = self._configurations.number(number)
        if kept is None:
            raise no_configuration(number)
        return await self._text(kept)

    def history(self) -> list[Kept]:
        """Return what was applied, the latest last."""
        return self._configurations.kept

    def edits(self) -> list[Difference]:
        """Return the servers that were added and removed since the file was read."""
        return edits_of(self._in_file, self.version.configuration)

    # -- unconfirmed ones --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take back what nobody confirms, until cancelled."""
        while True:
            pending = self._lasting.applied
            if pending is None or pending.state != UNCONFIRMED:
                await self.pending_changed.wait()
                continue
            with anyio.move_on_after(max(0.0, pending.left_s(time.time()))):
                await self.pending_changed.wait()
                continue
            if not await self._revert(pending):
                with anyio.move_on_after(_REVERT_AGAIN_S):
                    await self.pending_changed.wait()

    async def _revert(self, pending: Kept) -> bool:
        """Take back what nobody has confirmed; say whether there is nothing left of it."""
        async with self._lasting.changing:
            if self._lasting.applied is not pending:
                return True
            try:
                self._lasting.check_serving()
            except RequestRefused:
                return False  # the next start takes it back
            kept = self._configurations.confirmed
            message = f"configuration {pending.number} was not confirmed in time"
            try:
                if kept is None:
                    raise RequestRefused("unknown_configuration", "there is none before it")
                text, configuration = await self._kept(kept)
                how = How(ENGINE, f"{message}: back to {kept.number}", is_unrecorded=True)
                done = await self._apply(text, configuration, how)
            except RequestRefused as error:
                message = f"{message}, and cannot be taken back: {error.message}; this is tried again"
                if message != self._complaint:
                    self._lasting.events.add("configuration_not_reverted", "node", message)
                self._complaint = message
                return False
            await self._mark(pending, REVERTED)
            if not done["applied"] or self._lasting.applied is None:
                self._lasting.applied = kept
                self.pending_changed.fire()
            message += f": configuration {kept.number} serves again; {self._path} still has what was not confirmed"
            self._lasting.events.add("configuration_reverted", "node", message)
            return True

    async def _mark(self, kept: Kept, state: str) -> None:
        try:
            await anyio.to_thread.run_sync(self._configurations.mark, kept, state)
        except NotKept as error:
            self._lasting.events.add("configuration_not_kept", "node", str(error))

    async def _text(self, kept: Kept) -> str:
        try:
            return await anyio.to_thread.run_sync(self._configurations.text, kept)
        except NotKept as error:
            raise RequestRefused("unknown_configuration", str(error), "See: lbapp configurations", 404) from error

    async def _kept(self, kept: Kept) -> tuple[str, Configuration]:
        text = await self._text(kept)
        try:
            return text, await anyio.to_thread.run_sync(parse_configuration, text, f"configuration {kept.number}")
        except ConfigurationError as error:
            raise invalid_configuration(error) from error

    # -- applying ----------------------------------------------------------------------------------------------------

    async def _apply(self, text: str, configuration: Configuration, how: How) -> ReloadDone:
        """Apply a configuration, with other changes kept waiting. Raises RequestRefused, and then nothing has changed."""
        self._lasting.check_serving()
        version = version_of(text, configuration)
        try:
            planned = plan_reload(self.version, version)
        except CannotReload as error:
            raise RequestRefused("cannot_reload", str(error), UPGRADE, 409) from error
        warnings = [*listening_warnings(configuration.listeners), *overload_warnings(configuration)]
        warnings += metrics_warnings(configuration.metrics_bind)
        if how.is_dry:
            return self._done(planned, warnings, is_applied=False)
        if not planned:
            await self._keep_if_new(text, how)
            self._take(version, text, how)
            return self._done(planned, warnings, is_applied=False)
        started_s = time.monotonic()
        await self._replace(version, text, how)
        took_ms = (time.monotonic() - started_s) * 1000
        applied = self._lasting.applied
        number = "" if applied is None else f" {applied.number}"
        message = f"configuration{number} serves, after {took_ms:.0f} ms: {summary(planned)}"
        if how.reason:
            message += f": {how.reason}"
        if applied is not None and applied.confirm_by is not None:
            message += f"; it is taken back at {clock(applied.confirm_by)} unless it is confirmed"
        self._lasting.events.add("configuration_applied", "node", message, actor=how.actor)
        return self._done(planned, warnings, is_applied=True)

    async def _keep_if_new(self, text: str, how: How) -> None:
        """Know a text again that serves already, such as one with another comment."""
        applied = self._lasting.applied
        if applied is None or applied.digest != digest_of(text) or not applied.is_from(how.source):
            await self._keep(text, replace(how, confirm_s=None))

    async def _keep(self, text: str, how: How) -> None:
        """Write down what is about to serve. Raises RequestRefused 503 not_recorded."""
        confirm_by = None if how.confirm_s is None else time.time() + how.confirm_s
        try:
            add = self._configurations.add
            self._lasting.applied = await anyio.to_thread.run_sync(
                add, text, how.actor, how.reason, confirm_by, how.source
            )
        except NotKept as error:
            if not how.is_unrecorded or how.confirm_s is not None:
                hint = "Make room, or repeat with --unrecorded: there will be no way back to it then"
                raise RequestRefused("not_recorded", f"{error}; nothing was changed", hint, 503) from error
            self._lasting.applied = None
            self._lasting.events.add(
                "configuration_not_kept", "node", f"{error}; it serves all the same", actor=how.actor
            )
        self.pending_changed.fire()

    async def _replace(self, version: Version, text: str, how: How) -> None:
        former, lasting = self.generation, self._lasting
        workers, listening = lasting.workers, lasting.listening
        assert workers is not None
        configuration, opened, scraped_at = version.configuration, {}, None
        try:
            check_sources(configuration.pools)
            check_log(configuration.access_log)
            is_table_open = former.clients.has_table
            prepared, findings = await anyio.to_thread.run_sync(
                lambda: prepare(configuration, is_table_open=is_table_open)
            )
            generation = Generation(former.running.next(prepared), lasting)
            opened = listening.prepare(prepared.listeners)
            scraped_at = lasting.metrics.prepare(prepared.metrics_bind)
            await generation.find_servers(former)
            await workers.prepare(generation.served, opened)
            overruled = former.intents.overruled_by(generation.intents)
            await self._keep(text, how)
        except BaseException as error:
            listening.discard(opened)
            if scraped_at is not None:
                scraped_at.close()
            lasting.tell(Discard())
            refused = refusal_of(error)
            if refused is None:
                raise
            raise refused from error
        with anyio.CancelScope(shield=True):
            await former.stop()
            listening.take(prepared.listeners, opened)
            await anyio.to_thread.run_sync(
                lasting.fd_store.update
            )  # before workers close what no listener has any more
            lasting.metrics.take(prepared.metrics_bind, scraped_at)
            generation.begin(former)
            await workers.apply(generation.served, opened)
            generation.tell_what_is_new()
            self._see_off(former, generation)
            self.generation = generation
            self._take(version, text, how)
            await generation.intents.overrule(overruled, how.actor, how.reason or f"reload of {self._path}")
            for kind, message in findings:
                lasting.events.add(kind, "node", message)
            self.served(generation)
            former.states.changed.fire()

    def _take(self, version: Version, text: str, how: How) -> None:
        self.version, self.text = version, text
        self._origin = how.source.of or digest_of(text)
        if not how.source.is_edit:  # what an edit has changed is not in the file
            self._in_file = version.configuration

    def _see_off(self, former: Generation, generation: Generation) -> None:
        for state in generation.states.by_id.values():
            self._departures.is_back(state.row)
        for name, state in former.states.by_id.items():
            if name not in generation.states.by_id:
                self._departures.begin(state.row, name, state.pool.drain_timeout_s)

    def _done(self, planned: list[Planned], warnings: list[str], *, is_applied: bool) -> ReloadDone:
        return done_of(self._lasting.applied, planned, warnings, is_applied=is_applied)
