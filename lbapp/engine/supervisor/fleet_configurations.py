"""The configurations of the fleet, on one node: taken like a reload, and published from here.

Responsible for what is said of one that cannot be taken, for which is never taken again, and for what is checked before one is
published. Knows nothing of the store, nor of how a configuration is applied.

Invariants: a configuration is taken whole or not at all; the file is never written; what an operator has applied after one of the
fleet stays until the fleet has another.
"""

from __future__ import annotations

import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from lbapp.config.load import read_text
from lbapp.config.own import as_of_node
from lbapp.control.fleet import FleetConfigurationStatus
from lbapp.control.messages import Actor
from lbapp.engine.supervisor.bodies import REASON_LETTERS_MAX, How, invalid, object_of, shown_json, why_of
from lbapp.engine.supervisor.configurations import FROM_FILE, UNCONFIRMED, Source, digest_of
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_words import beginning, configuration_status
from lbapp.engine.supervisor.reload import Reloads
from lbapp.engine.supervisor.reload_words import invalid_configuration
from lbapp.model.errors import ConfigurationError, RequestRefused
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, RollMode

_LEAVING: Final = ("stopping", "reloaded")  # why an engine that is on its way out refuses
_MODES: Final = {mode.value: mode for mode in RollMode}


@dataclass(slots=True)
class FleetConfigurations:
    """The configurations of the fleet, of one engine."""

    reloads: Reloads
    link: FleetLink
    events: Events

    # -- taking ------------------------------------------------------------------------------------------------------

    async def take(
        self, configuration: FleetConfiguration, text: str, *, has_ended: bool = False, was_away: bool = False
    ) -> ConfigurationResult:
        """Serve by a configuration of the fleet, or say why not. `has_ended`, `was_away`: as of `Node.take_configuration`."""
        number, applied = configuration.number, self.reloads.applied
        store, digest = self.link.view.began, configuration.digest
        if applied is not None and applied.is_fleets(number, store, digest):
            return self._result(number, "")  # before the store knew it
        # Numbers of another fleet, or of a store that was emptied since, say nothing about these.
        before = [each for each in self.reloads.history() if each.store in ("", store)]
        is_old = number < max((each.fleet for each in before), default=0)
        if is_old or any(each.is_fleets(number, store, digest) for each in before):
            return self._result(number, "it was taken here, and another was applied on this node after it")
        if has_ended:
            return self._result(number, "the engine ended while it began to serve by it")
        actor: Actor = {"uid": None, "user": f"{configuration.by}@{configuration.node}", "pid": None}
        try:
            await self._apply(configuration, text, actor, was_away=was_away)
        except RequestRefused as error:
            if error.code in _LEAVING:
                await anyio.sleep_forever()  # the engine is on its way out: the next one takes it
            if error.code == "unconfirmed" and configuration.mode is RollMode.ALL:
                return await self._take_when_settled(configuration, text, error, was_away=was_away)
            told = _one_sentence(error)
            message = f"configuration {number} of the fleet is not taken: {told}"
            self.events.add("configuration_of_fleet_refused", "node", message, actor=actor)
            return self._result(number, told)
        return self._result(number, "")

    async def _take_when_settled(
        self, configuration: FleetConfiguration, text: str, error: RequestRefused, *, was_away: bool
    ) -> ConfigurationResult:
        """Take a configuration when nothing waits to be confirmed any more, unless the fleet has another by then."""
        number = configuration.number
        self.events.add(
            "configuration_of_fleet_waits", "node", f"configuration {number} of the fleet waits: {error.message}"
        )
        while (applied := self.reloads.applied) is not None and applied.state == UNCONFIRMED:
            await self.reloads.pending_changed.wait()
        newest = self.link.view.configuration.number
        if newest != number:
            has = f"configuration {newest}" if newest else "none any more"
            return self._result(number, f"{error.message}, and then the fleet had {has}")
        return await self.take(configuration, text, was_away=was_away)

    async def _apply(self, configuration: FleetConfiguration, text: str, actor: Actor, *, was_away: bool) -> None:
        """Serve by a text of the fleet, with what is the node's own as it serves when its turn comes. Raises RequestRefused."""
        name, why = f"configuration {configuration.number} of the fleet", configuration.reason[:REASON_LETTERS_MAX]
        file, store = await self._file(), self.link.view.began

        def made(serving: str) -> tuple[str, Source]:
            message = beginning(configuration, was_away=was_away)
            self.events.add("configuration_of_fleet_began", "node", message, actor=actor)
            own = as_of_node(text, serving)
            of = "" if file == digest_of(own) else file
            return own, Source(of, configuration.number, store=store, text=configuration.digest)

        await self.reloads.apply_text(made, How(actor, f"{name}: {why}" if why else name), name)

    async def _file(self) -> str:
        """Return the digest of the file as it is now."""
        try:
            return digest_of(await anyio.to_thread.run_sync(read_text, self.reloads.path))
        except ConfigurationError:
            return "unreadable"  # as no file is: what can be read at the next start is another

    def _result(self, number: int, error: str) -> ConfigurationResult:
        return ConfigurationResult(number, self.link.name, time.time(), error)

    # -- publishing --------------------------------------------------------------------------------------------------

    async def publish(self, body: object, actor: Actor) -> FleetConfigurationStatus:
        """Carry out a PublishRequest: what this node could not serve by is not published.

        Raises RequestRefused 409 no_fleet, rolling, changed, 413 too_long, 422 invalid_body, invalid_configuration, 503
        fleet_unreachable, and as a reload does.
        """
        request = object_of({} if body is None else body, ("mode", "text", "reason"))
        fleet = self.link.joined()
        mode, why = request.get("mode", RollMode.ALL.value), why_of({"reason": request.get("reason", "")})
        if not isinstance(mode, str) or mode not in _MODES:
            raise invalid("body", f"mode is {shown_json(mode)}", f"Use {' or '.join(_MODES)}")
        text = request["text"] if "text" in request else await _text_in(self.reloads.path)
        if not isinstance(text, str) or not _is_unicode(text):
            raise invalid("body", f"text is {shown_json(text)}", "Use the text of a configuration")
        own = as_of_node(text, self.reloads.text)
        await self.reloads.apply_text(lambda _: (own, FROM_FILE), How(actor, is_dry=True), str(self.reloads.path))
        if "cluster" not in tomllib.loads(own.removeprefix("\ufeff").replace("\r\n", "\n")):
            message = "the configuration has no [cluster]: every node that takes it would leave the fleet"
            raise RequestRefused("no_cluster", message, "Give it that table, or reload each node by itself", 422)
        view, node = self.link.view, self.link.name
        wanted = FleetConfiguration(
            mode=_MODES[mode],
            by=actor["user"],
            node=node,
            at=time.time(),
            reason=why.reason,
            revision=view.configuration.revision,
        )
        written = await fleet.publish(wanted, text)
        message = f"configuration {written.number} is the fleet's: {written.mode.value}, {len(view.alive)} members live"
        self.events.add("configuration_published", "node", message, actor=actor)
        return configuration_status(written, self.link.view.results)

    async def stop(self, body: object, actor: Actor) -> FleetConfigurationStatus:
        """Carry out a RollStop. Raises RequestRefused 409 no_fleet, not_rolling, 422 invalid_body, 503 fleet_unreachable."""
        why = why_of(object_of({} if body is None else body, ("reason",)))
        stopped = await self.link.joined().stop_roll(why.reason, actor["user"])
        message = f"the roll of configuration {stopped.number} goes no further"
        self.events.add("roll_stopped", "node", message, actor=actor)
        return configuration_status(stopped, self.link.view.results)


async def _text_in(path: Path) -> str:
    try:
        return await anyio.to_thread.run_sync(read_text, path)
    except ConfigurationError as error:
        raise invalid_configuration(error) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _one_sentence(error: RequestRefused) -> str:
    """Return why a configuration was refused, where there may be many reasons."""
    if not error.problems:
        return error.message
    more = f", and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
    return f"{error.problems[0]}{more}"
