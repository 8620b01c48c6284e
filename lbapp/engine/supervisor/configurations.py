"""The configurations that were applied, kept on disk: what a rollback goes back to.

Responsible for a numbered copy of each, for who applied it when and why, and for which of them nobody has confirmed. Knows
nothing of how one is applied.

Invariants: a copy is on disk, and listed, before its configuration serves; the list is replaced at one stroke; copies can be read
by the engine's own user alone, as they may hold secrets; what is damaged is set aside and said, and never keeps an engine from
starting.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from lbapp.config.load import parse_configuration
from lbapp.control.messages import Actor
from lbapp.control.state_file import replace_file
from lbapp.engine.policy.reload import Version
from lbapp.engine.supervisor.events import ENGINE
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError, RequestRefused
from lbapp.model.limits import CONFIGURATIONS_KEPT

APPLIED: Final = "applied"
UNCONFIRMED: Final = "unconfirmed"
REVERTED: Final = "reverted"
EDITED: Final = "edited"  # servers were added or removed while it served
_LIST: Final = "list.json"


class NotKept(Exception):
    """A configuration could not be written down: a sentence says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration came from that is not just what the file says. `of`: the digest of the file as it was then.

    `fleet`: the number that it has in the fleet; 0: it is not the fleet's. `is_edit`: servers were added or removed. `store`: the
    name of the store's data in which it has that number; `text`: the digest that the fleet's text has.
    """

    of: str = ""
    fleet: int = 0
    is_edit: bool = False
    store: str = ""
    text: str = ""


FROM_FILE: Final = Source()


@dataclass(frozen=True, slots=True)
class Kept:
    """One configuration that was applied. Times are Unix seconds; `confirm_by`: when it reverts, while it is unconfirmed.

    `of`: the digest of the file that it is, with servers added and removed since, or in whose place the fleet's was taken; empty:
    the file had all of it. `fleet`, `store`, `text`: as of a Source.
    """

    number: int
    at: float
    user: str
    reason: str
    digest: str
    state: str = APPLIED
    confirm_by: float | None = None
    of: str = ""
    fleet: int = 0
    store: str = ""
    text: str = ""

    @property
    def origin(self) -> str:
        """The digest of the file that it came from."""
        return self.of or self.digest

    def is_fleets(self, number: int, store: str, text: str) -> bool:
        """Say whether it is this configuration of a fleet; of one that an earlier version kept only the number is known."""
        return (self.fleet, self.store or store, self.text or text) == (number, store, text)

    def is_from(self, source: Source) -> bool:
        """Say whether it is from there, as far as a fleet goes; what a fleet has may be from the file as well."""
        return not source.fleet or self.is_fleets(source.fleet, source.store, source.text)

    def left_s(self, now: float) -> float:
        """Return for how long it can be confirmed yet; never longer than was given, whatever became of the clock."""
        return 0.0 if self.confirm_by is None else min(self.confirm_by - now, self.confirm_by - self.at)


def _kept_of(read: dict[str, Any]) -> Kept:
    """Return what stands in the list. Raises TypeError."""
    kept = Kept(**read)
    texts = (kept.user, kept.reason, kept.digest, kept.state, kept.of, kept.store, kept.text)
    is_sound = (
        isinstance(kept.number, int)
        and isinstance(kept.fleet, int)
        and isinstance(kept.at, int | float)
        and all(isinstance(each, str) for each in texts)
    )
    if not (is_sound and isinstance(kept.confirm_by, int | float | None)):
        raise TypeError("a value of another type")
    return kept


def check_number(serving: Kept | None, expected: int | None) -> None:
    """Raise RequestRefused 409 changed when another configuration serves than the one that was seen. None: any is meant."""
    number = 0 if serving is None else serving.number
    if expected is not None and number != expected:
        message = f"configuration {number} serves, and not {expected} any more"
        raise RequestRefused("changed", message, "Look at it again: lbapp configurations", 409)


class Configurations:
    """What was applied by the engines of one configuration file. Its methods wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: list[Kept] = []
        self.problem = ""  # what was wrong when it was opened

    def open(self) -> None:
        """Read the list. What is wrong is in `problem` then; it never raises."""
        path = self.folder / _LIST
        try:
            self.kept = [_kept_of(each) for each in json.loads(path.read_bytes())]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            aside = path.with_name(f"{_LIST}.damaged-{time.time():.0f}")
            reason = error.strerror if isinstance(error, OSError) else "it is damaged"
            try:
                path.replace(aside)
            except OSError:
                aside = path
            self.problem = (
                f"the list of configurations cannot be read: {reason}; it is {aside} now, and a new one begins"
            )

    @property
    def last(self) -> Kept | None:
        """The configuration that was applied last, confirmed or not."""
        return next((each for each in reversed(self.kept) if each.state != REVERTED), None)

    @property
    def confirmed(self) -> Kept | None:
        """The configuration that was applied last and stays."""
        return next((each for each in reversed(self.kept) if each.state == APPLIED), None)

    def earlier(self, number: int | None = None) -> Kept | None:
        """Return a configuration to go back to: that of a number, or the one that was applied before the last."""
        if number is not None:
            return self.number(number)
        last = self.last
        confirmed = [each for each in self.kept if each.state in (APPLIED, EDITED) and each is not last]
        return next((each for each in reversed(confirmed) if last is None or each.digest != last.digest), None)

    def text(self, kept: Kept) -> str:
        """Return a configuration as it was. Raises NotKept."""
        try:
            text = self._path(kept.number).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NotKept(f"the copy of configuration {kept.number} cannot be read: {error}") from error
        if digest_of(text) != kept.digest:
            raise NotKept(f"the copy of configuration {kept.number} is not what was applied: {self._path(kept.number)}")
        return text

    def add(
        self, text: str, actor: Actor, reason: str, confirm_by: float | None = None, source: Source = FROM_FILE
    ) -> Kept:
        """Write down a configuration that is about to serve. Raises NotKept."""
        number = max((each.number for each in self.kept), default=0) + 1
        state = APPLIED if confirm_by is None else UNCONFIRMED
        digest, now = digest_of(text), time.time()
        kept = Kept(
            number, now, actor["user"], reason, digest, state, confirm_by, source.of, source.fleet, source.store, source.text
        )  # fmt: skip
        try:
            replace_file(self._path(number), text.encode())
            self._set([*self.kept, kept][-CONFIGURATIONS_KEPT:])
        except OSError as error:
            raise NotKept(f"the configuration cannot be kept in {self.folder}: {error.strerror or error}") from error
        self._forget()
        return kept

    def base_of(self, kept: Kept) -> Kept:
        """Return the configuration of the fleet that one is, with servers added and removed since; or itself."""
        same = (each for each in self.kept if each.is_fleets(kept.fleet, kept.store, kept.text))
        return next(same, kept) if kept.fleet else kept

    def source_of(self, kept: Kept) -> Source:
        """Return where a configuration came from."""
        is_edit = self.base_of(kept).number != kept.number if kept.fleet else bool(kept.of)
        return Source(kept.of, kept.fleet, is_edit, kept.store, kept.text)

    def number(self, number: int) -> Kept | None:
        """Return the configuration of a number."""
        return next((each for each in self.kept if each.number == number), None)

    def mark(self, kept: Kept, state: str) -> None:
        """Note what has become of a configuration. Raises NotKept."""
        marked = replace(kept, state=state, confirm_by=None)
        try:
            self._set([marked if each.number == kept.number else each for each in self.kept])
        except OSError as error:
            raise NotKept(f"{self.folder / _LIST} cannot be written: {error.strerror or error}") from error

    def _set(self, kept: list[Kept]) -> None:
        replace_file(self.folder / _LIST, json.dumps([asdict(each) for each in kept], indent=1).encode())
        self.kept = kept

    def _forget(self) -> None:
        known = {self._path(each.number).name for each in self.kept}
        for path in self.folder.glob("*.toml"):
            if path.name not in known:
                path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.toml"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an engine starts with. `applied`: its copy; None: it could not be kept. `findings`: kinds of event, and messages."""

    version: Version
    text: str
    in_file: Configuration  # what servers that were added and removed are told apart by
    applied: Kept | None
    findings: list[tuple[str, str]]


def choose_at_start(configurations: Configurations, path: Path, text: str, configuration: Configuration) -> Chosen:
    """Return what to start with: what stands in the file, unless that was taken back since it was written."""
    configurations.open()
    findings = [("configuration_not_kept", configurations.problem)] if configurations.problem else []
    digest = digest_of(text)
    taken = _of_the_fleet(configurations, path, digest, findings)
    if taken is not None:
        return taken
    known = next((each for each in reversed(configurations.kept) if each.digest == digest), None)
    if known is not None and known.state == UNCONFIRMED:
        if known.left_s(time.time()) > 0:
            return Chosen(version_of(text, configuration), text, configuration, known, findings)
        with contextlib.suppress(NotKept):
            configurations.mark(known, REVERTED)
        known = replace(known, state=REVERTED, confirm_by=None)  # also where that cannot be written down
    earlier = configurations.confirmed
    is_edited = known is not None and known.state == EDITED and earlier is not None and earlier.of == digest
    if known is not None and (known.state == REVERTED or is_edited):
        try:
            if earlier is not None:
                kept = configurations.text(earlier)
                version = version_of(kept, parse_configuration(kept, f"configuration {earlier.number}"))
                in_file = configuration if is_edited else version.configuration
                return Chosen(version, kept, in_file, earlier, [*findings, _why_not(path, known, earlier)])
        except (NotKept, ConfigurationError) as error:
            findings.append(
                ("configuration_not_reverted", f"configuration {known.number} was taken back, but: {error}")
            )
    applied = configurations.last
    if applied is None or applied.digest != digest:
        try:
            applied = configurations.add(text, ENGINE, "start")
        except NotKept as error:
            applied = None
            findings.append(("configuration_not_kept", f"{error}: there will be no rollback to it"))
    return Chosen(version_of(text, configuration), text, configuration, applied, findings)


def _of_the_fleet(
    configurations: Configurations, path: Path, digest: str, findings: list[tuple[str, str]]
) -> Chosen | None:
    """Return the fleet's configuration that serves in the file's place, as long as that is what it was; None: there is none."""
    last = configurations.last
    if last is None or not last.fleet or not last.of:
        return None
    if last.of != digest:
        message = f"{path} was changed after configuration {last.fleet} of the fleet was taken: the file serves"
        findings.append(("configuration_of_fleet_overruled", message))
        return None
    try:
        kept, base = configurations.text(last), configurations.base_of(last)
        version = version_of(kept, parse_configuration(kept, f"configuration {last.number}"))
        in_file = version.configuration
        if base.number != last.number:
            in_file = parse_configuration(configurations.text(base), f"configuration {base.number}")
    except (NotKept, ConfigurationError) as error:
        message = f"configuration {last.fleet} of the fleet cannot serve again: {error}; {path} serves"
        findings.append(("configuration_of_fleet_overruled", message))
        return None
    message = f"configuration {last.number} serves, the fleet's {last.fleet}: {path} is as it was when that was taken"
    return Chosen(version, kept, in_file, last, [*findings, ("configuration_restored", message)])


def _why_not(path: Path, known: Kept, earlier: Kept) -> tuple[str, str]:
    """Return the event that says why it is not the file that serves."""
    if known.state == EDITED:
        message = f"configuration {earlier.number} serves: {path} with the servers that were added and removed since"
        return "configuration_restored", message
    message = f"configuration {known.number}, which {path} has, was taken back: configuration {earlier.number} serves"
    return "configuration_reverted", message


def version_of(text: str, configuration: Configuration) -> Version:
    """Return a configuration with the tables that it was read from."""
    return Version(configuration, tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n")))


def digest_of(text: str) -> str:
    """Return what tells one configuration from another."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def as_message(kept: Kept) -> dict[str, Any]:
    """Return what the control API says of a configuration."""
    return {
        "number": kept.number,
        "at": kept.at,
        "user": kept.user,
        "reason": kept.reason,
        "state": kept.state,
        "confirm_by": kept.confirm_by,
        "fleet": kept.fleet,
    }
