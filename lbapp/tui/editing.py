"""Editing the configuration of an engine: draft, check, apply, keep or go back.

Responsible for the order of these steps and for what is on disk after each. Knows nothing of widgets or keys.

Invariants: the file is written only when the engine has found the very text sound, and only over what was read; what
the engine then refuses, or the operator takes back, leaves the file as it was before; a draft is kept until it serves
or is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from anyio import to_thread

from lbapp.control import calls
from lbapp.control.changes import ConfigurationFile, ReloadDone
from lbapp.control.config_file import ConfigFile, FileText
from lbapp.model.errors import LbappError, Problem, RequestRefused
from lbapp.tui.changes import Outcome
from lbapp.tui.drafts import Draft, Drafts
from lbapp.tui.format import clean
from lbapp.tui.source import Source

CONFIRM_S: Final = 60.0
OF_EARLIER: Final = "this draft was begun from the file as it was before somebody wrote it"


@dataclass(slots=True)
class Checked:
    """What the engine said of a text: its plan, or what is wrong."""

    text: str
    plan: ReloadDone | None = None
    problems: Sequence[Problem] = ()
    refusal: str = ""

    @property
    def is_sound(self) -> bool:
        """Say whether it could be applied."""
        return self.plan is not None


@dataclass(slots=True)
class Editing:
    """One configuration under the operator's hands."""

    source: Callable[[], Source]
    drafts: Drafts
    told: Callable[[Outcome], None]
    confirm_s: float = CONFIRM_S
    file: ConfigurationFile | None = None
    draft: str = ""
    checked: Checked | None = None
    before: str | None = None  # the text of the file before it was applied, while it may be taken back
    applied: int = 0  # the number of what was applied then
    problem: str = ""
    begun_from: str = ""  # the digest of the file that the draft was begun from
    _written: FileText | None = None  # what was written over that
    _is_known: bool = False  # the draft that is kept: it was written here, or told of

    @property
    def what(self) -> str:
        """Return the name of this configuration, for its draft."""
        return f"{self.source().name} {self.file['path'] if self.file else ''}"

    @property
    def running_number(self) -> int:
        """Return the number of the configuration that served when the file was read; 0: it is not known."""
        return self.file["running_number"] if self.file else 0

    @property
    def is_changed(self) -> bool:
        """Say whether the draft is other than the file."""
        return self.file is not None and self.draft != (self.file["text"] or "")

    @property
    def is_of_earlier(self) -> bool:
        """Say whether the file is another than the one that the draft was begun from."""
        return self.is_changed and self.file is not None and self.begun_from != (self.file["digest"] or "")

    async def load(self, newest: Callable[[], str] | None = None) -> None:
        """Read the file and what serves; go on with a draft that was left. `newest`: the text as it stands in the editor."""
        try:
            known, draft = self.file, self.draft
            found = await self.source().ask(calls.configuration())
        except LbappError as error:
            self.file, self.problem = None, clean(str(error))
            return
        if newest is not None:  # a key may have been written that nobody was told of yet
            self.change(newest())
        if known is not None and self.draft != draft:
            return  # written meanwhile: a draft goes on from the file that it was begun from
        self.file, self.problem, self.checked = found, clean(found["problem"]), None
        kept = self.drafts.load(self.what)
        self._begin(found["text"] or "" if kept is None else kept.text, None if kept is None else kept.digest)
        if kept is not None and self.is_changed and not self._is_known:
            self._is_known = True
            is_late = self.is_of_earlier
            what = f"{OF_EARLIER}: look at the diff (F6)" if is_late else "this is a draft that was left"
            self.told(Outcome(f"{what}; F7 throws it away and takes the file", is_refused=is_late))

    async def follow(self) -> None:
        """Read what serves anew, and leave the file as it was read and the draft as it is."""
        if self.file is None:
            return
        with suppress(LbappError):  # it is asked again when it is looked at again
            found = await self.source().ask(calls.configuration())
            self.file = {**found, "text": self.file["text"], "digest": self.file["digest"]}

    def _begin(self, text: str, begun_from: str | None = None) -> None:
        """Have a draft of a file in a state; None: as it is now."""
        now = (self.file["digest"] if self.file else None) or ""
        self.draft, self.begun_from = text, now if begun_from is None else begun_from

    def change(self, text: str) -> None:
        """Take what the operator has written."""
        self.draft = text

    def keep_draft(self) -> None:
        """Put the draft where it outlives the console; without one, leave what another console has put there."""
        if self.is_changed:
            path = self.file["path"] if self.file else ""
            problem = self.drafts.keep(self.what, Draft(self.draft, path, self.begun_from))
            self._is_known = True
            if problem:
                self.told(Outcome(problem, is_refused=True))
        elif self._is_known:
            self._forget_draft()

    def _forget_draft(self) -> None:
        self.drafts.forget(self.what)
        self._is_known = False

    def throw_away(self) -> None:
        """Take the file again."""
        self._forget_draft()
        self._begin((self.file["text"] or "") if self.file else "")
        self.checked = None

    async def check(self) -> Checked:
        """Have the engine look at the draft as if it stood in the file."""
        self.keep_draft()
        checked = Checked(self.draft)
        try:
            plan = await self.source().ask(calls.reload({"dry_run": True, "text": self.draft}))
        except RequestRefused as refused:
            checked.problems = tuple(refused.problems)
            checked.refusal = clean(str(refused))
        except LbappError as error:
            checked.refusal = clean(str(error))
        else:
            checked.plan = plan
        self.checked = checked
        return checked

    async def apply(self, reason: str) -> bool:
        """Write the draft and have it served until it is confirmed or taken back; say whether it serves."""
        checked = self.checked if self.checked and self.checked.text == self.draft else await self.check()
        if not checked.is_sound or self.file is None or self.file["digest"] is None:
            self.told(Outcome(checked.refusal or self.problem or "there is no file to write", is_refused=True))
            return False
        before = FileText(self.file["text"] or "", self.file["digest"])
        store = self.source().config_file(self.file["path"])
        try:
            written = await to_thread.run_sync(store.write, checked.text, before)
        except LbappError as error:
            self.told(Outcome(clean(str(error)), is_refused=True))
            return False
        try:
            why = reason or "edited in the console"
            request = calls.reload({"confirm_s": self.confirm_s, "expect_digest": written.digest, "reason": why})
            done = await self.source().ask(request)
        except LbappError as error:
            await self._put_back(store, before.text, written, clean(str(error)))
            return False
        self.before, self._written = (before.text, written) if done["applied"] else (None, None)
        self.applied = done["number"]
        self._forget_draft()
        await self.load()
        on_trial = (
            f"configuration {done['number']} serves on trial: S keeps it, B goes back, or it is taken back by itself"
        )
        self.told(Outcome(on_trial if done["applied"] else "nothing that is served has changed"))
        return done["applied"]

    async def keep(self, number: int) -> None:
        """Have the configuration of a number stay, if it is what serves."""
        try:
            kept = await self.source().ask(calls.confirm({"expect_number": number}))
        except LbappError as error:
            self.told(Outcome(clean(str(error)), is_refused=True))
            return
        self.before = None
        self.told(Outcome(f"configuration {kept['number']} stays"))

    async def go_back(self, number: int) -> None:
        """Serve what served before the configuration of a number, and put the file back that this console has written over."""
        try:
            done = await self.source().ask(calls.rollback({"expect_number": number}))
        except LbappError as error:
            self.told(Outcome(clean(str(error)), is_refused=True))
            return
        await self.restore_file(f"configuration {done['number']} serves again")

    async def learn(self) -> None:
        """Hear what has become of what was applied here, now that it is not on trial any more.

        Where it was taken back, by the time or by somebody, the file is put back, too: it was written for what serves no more.
        """
        try:
            kept = (await self.source().ask(calls.configurations()))["configurations"]
        except LbappError:
            return  # it is asked again
        state = next((each["state"] for each in kept if each["number"] == self.applied), "")
        if state == "reverted":
            why = f"configuration {self.applied} was not kept, and what served before serves again"
            await self.restore_file(why, is_refused=True)
        elif state != "unconfirmed":
            self.before, self._written = None, None
            await self.load()

    async def restore_file(self, why: str, *, is_refused: bool = False) -> None:
        """Put the file back as it was before this console applied another; `why` begins the sentence. The draft stays."""
        if self.before is None or self.file is None or self._written is None:
            await self.load()
            self.told(Outcome(why, is_refused=is_refused))
            return
        rejected = self.draft
        store = self.source().config_file(self.file["path"])
        before, written = self.before, self._written
        self.before, self._written = None, None
        await self._put_back(store, before, written, why, is_refused=is_refused)
        await self.load()
        self._begin(rejected)  # to be mended, not to be typed again
        self.keep_draft()

    async def roll_back_to(self, number: int, leaving: int) -> None:
        """Serve an earlier configuration, if it is `leaving` that serves; the file stays as it is, and that is said."""
        try:
            done = await self.source().ask(calls.rollback({"number": number, "expect_number": leaving}))
        except LbappError as error:
            self.told(Outcome(clean(str(error)), is_refused=True))
            return
        self.told(Outcome(f"configuration {done['number']} serves, as {number} did; the file is as it was"))
        await self.load()

    async def _put_back(
        self, store: ConfigFile, text: str, written: FileText, why: str, *, is_refused: bool = True
    ) -> None:
        try:
            await to_thread.run_sync(store.write, text, written)
        except LbappError as error:
            self.told(Outcome(f"{why}; but the file could not be put back: {clean(str(error))}", is_refused=True))
        else:
            self.told(Outcome(f"{why}; the file is as it was before", is_refused=is_refused))
