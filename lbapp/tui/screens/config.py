"""Screen 6: the configuration, edited, checked, applied on trial, kept or taken back.

Responsible for its sections and keys. Knows nothing of the order of the steps or of files. Invariants: those of `pane`;
nothing is written or applied without a dialog whose Cancel has the focus; a draft is kept as it is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import TextArea
from textual.worker import Worker

from lbapp.control import calls
from lbapp.control.changes import ConfigurationKept, ConfigurationsKept
from lbapp.model.errors import LbappError
from lbapp.tui import config_words as words
from lbapp.tui.asking import Job, Poll
from lbapp.tui.changes import Outcome
from lbapp.tui.dialogs.keep import Answer, Keep
from lbapp.tui.dialogs.question import Asked, Question
from lbapp.tui.drafts import Drafts, state_folder
from lbapp.tui.editing import CONFIRM_S, OF_EARLIER, Editing
from lbapp.tui.external import edit
from lbapp.tui.format import clean
from lbapp.tui.pane import Desk, Pane
from lbapp.tui.trial import Trial
from lbapp.tui.widgets.block import Block
from lbapp.tui.widgets.editor import Editor
from lbapp.tui.widgets.scroll import Scroll
from lbapp.tui.widgets.table import LineTable

SECTIONS: Final = ("edit", "diff", "check", "history")
_EVERY_S: Final = 2.0
_WIDE: Final = 110  # cells from which on diff and check stand beside the text
_SETTLE_S: Final = 0.6  # after the last key, until the draft is kept and told of
_TRIAL_EVERY_S: Final = 0.5  # between two looks at whether it was decided, wherever the operator is


class ConfigPane(Pane, can_focus=True):
    """The configuration of the engine. Where only the text is in sight, the pane itself has the focus until `i`."""

    DEFAULT_CSS = """
    ConfigPane > #config-head { height: 1; }
    ConfigPane > Horizontal { height: 1fr; }
    ConfigPane #config-side { width: 1fr; height: 1fr; scrollbar-size: 0 0; }
    ConfigPane #config-side Block { height: auto; }
    ConfigPane #config-text { width: 1fr; }
    ConfigPane #config-history { height: 1fr; width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "section(-1)", "section before", show=False, id="section.before"),
        Binding("right", "section(1)", "next section", show=False, id="section.next"),
        Binding("i", "edit", "edit", priority=True, id="config.edit"),
        Binding("enter", "edit", "edit", show=False, id="config.enter"),  # of the history it rolls back: the list's own
        Binding("f5", "check", "check", priority=True, id="config.check"),
        Binding("f6", "section_named('diff')", "diff", priority=True, id="config.diff"),
        Binding("f8", "apply", "apply, then keep or go back", priority=True, id="config.apply"),
        Binding("f9", "section_named('history')", "history", priority=True, show=False, id="config.history"),
        Binding("f4", "external", "edit with $EDITOR", priority=True, show=False, id="config.external"),
        Binding("f7", "throw_away", "throw the draft away", priority=True, show=False, id="config.throw"),
        Binding("n", "problem(1)", "to the next problem", show=False, id="config.problem"),
    ]

    def __init__(self, desk: Desk, confirm_s: float = CONFIRM_S) -> None:
        super().__init__(desk, id="config")
        self._confirm_s = confirm_s
        self.editing = Editing(lambda: desk.source, Drafts(state_folder(os.environ)), desk.tell, confirm_s)
        self._section = 0
        # That are other in the draft, as of when the hand rested last: to count them takes longer than a key may.
        self._places = 0
        self._problem = -1
        self._is_loaded = False
        self._head = Block(id="config-head")
        self._text = Editor(id="config-text")
        self._diff = Block(id="config-diff")
        self._check = Block(id="config-check")
        self._side = Scroll(self._check, self._diff, id="config-side")
        self._history: LineTable[ConfigurationKept] = LineTable(words.kept_kind(), id="config-history")
        self._kept: Poll[ConfigurationsKept] = Poll(self, lambda: desk.source, _EVERY_S, self._show_history)
        self._kept.about(calls.configurations())
        self._settling: Any = None
        self._step: Worker[object] | None = None  # of checking, applying, keeping, going back
        self._trial = Trial(lambda: desk.source)
        self._trial_watch: Any = None
        self._number_read = 0  # of the configuration that served when the file was read last

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield self._head
        with Horizontal():
            yield self._text
            yield self._side
            yield self._history

    # ---- what is in sight

    @property
    def section(self) -> str:
        """The section in sight."""
        return SECTIONS[self._section]

    @property
    def is_unsaved(self) -> bool:
        """Say whether there is a draft that is not applied."""
        return self._is_loaded and self.editing.is_changed

    @property
    def first(self) -> Widget:
        """What scrolls, else the pane itself: the text takes keys only when it is asked to."""
        if self.section == "history":
            return self._history
        return self._side if self._side.display else self

    @property
    def table(self) -> LineTable[ConfigurationKept] | None:
        """The configurations that were applied, while they are in sight."""
        return self._history if self.section == "history" else None

    @property
    def facts(self) -> str:
        """Where the cursor is, and what the draft is."""
        if not self._text.has_focus:
            return f"[{self.section}]  left, right: sections  "
        row, column = self._text.cursor_location
        return f"line {row + 1} column {column + 1}  Esc leaves the text"

    def visit(self, subject: str) -> None:
        """Read the file; a number of a line: go there."""
        if not self._is_loaded:
            self.editing.problem = ""  # of the reading before: what is typed from now on waits for this one
        self.run_worker(Job(self._load, int(subject) if subject.isdigit() else 0), group="load", exclusive=True)

    async def _load(self, line: int) -> None:
        self._number_read = self._trial.number
        if self._is_loaded and self.editing.is_changed:
            await self.editing.follow()
        else:
            await self.editing.load((lambda: self._text.text) if self._is_loaded else None)
            self._is_loaded = self.editing.file is not None
            if not self._is_loaded and self._text.is_waiting:
                self._text.wait(False)
                self.screen.set_focus(self.first)
            elif self._text.text != self.editing.draft or self._text.is_waiting:
                self._text.put(self.editing.draft)
        if line:
            self._text.go_to(line)
        self._show_draft()
        self._paint()

    def turn(self) -> None:
        """Read anew: which configuration served at another moment is another question. A draft stays what it is."""
        if not self.is_unsaved:
            self.editing.file, self._is_loaded = None, False
            self._text.put("")
            if self.is_attached:
                self.visit("")

    def show(self) -> None:
        """Show what becomes of the configuration that serves; another one is read, whoever has had it served."""
        self._kept.ask()
        if self._is_loaded and self._number_read and self._trial.number not in (0, self._number_read):
            self.visit("")
        self._paint()

    def _show_history(self) -> None:
        kept = self._kept.answer["configurations"] if self._kept.answer else []
        self._history.show(kept[::-1])

    def _paint(self) -> None:
        is_wide = self.app.size.width >= _WIDE
        is_history = self.section == "history"
        self._history.display = is_history
        self._text.display = not is_history and (is_wide or self.section == "edit")
        self._side.display = not is_history and (is_wide or self.section != "edit")
        self._check.display = is_wide or self.section == "check"
        self._diff.display = is_wide or self.section == "diff"
        self._text.read_only = not self.desk.may_change
        sections = "".join(f"[{name}]" if name == self.section else f" {name} " for name in SECTIONS)
        self._head.say([words.head_words(self.editing, self._places, sections, is_of_now=self.desk.source.is_of_now)])

    def _show_draft(self) -> None:
        editing = self.editing
        if editing.file is None:
            return
        running = editing.file["running_text"]
        self._places = words.count_changes(running, editing.draft) if editing.is_changed else 0
        lines = words.diff_lines(running, editing.draft)
        self._diff.say([[(" against what serves", "plain")], *(lines or [[(" nothing is other", "plain")]])])
        self._check.say(words.checked_lines(editing, self.desk.glyphs))

    # ---- editing

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Take the draft; keep it and tell of it when the hand rests."""
        text = event.text_area.text
        if text == self.editing.draft or not self._is_loaded:
            return
        self.editing.change(text)
        if self._settling is not None:
            self._settling.stop()
        self._settling = self.set_timer(_SETTLE_S, self._settle)

    def on_unmount(self) -> None:
        """Keep the draft, however soon after the last key the console is left."""
        if self._is_loaded:
            self._take_in()
            self.editing.keep_draft()

    def _take_in(self) -> None:
        """Take the text for the draft: the newest, told of or not."""
        if self._is_loaded:
            self.editing.change(self._text.text)

    def _settle(self) -> None:
        self.editing.keep_draft()
        self._show_draft()
        self._paint()

    def action_edit(self) -> None:
        """Let the text take the keys; while it is still read, what is typed waits for it."""
        if self.desk.may_change and (self._is_loaded or not self.editing.problem):
            self._text.wait(not self._is_loaded)
            self._turn("edit")
            self._text.display = True
            self.screen.set_focus(self._text)

    def clear(self) -> bool:
        """Leave the text."""
        if self._text.has_focus:
            self.screen.set_focus(self)
            self._turn("diff" if self.editing.is_changed else "edit")
            return True
        return False

    def action_section(self, step: int) -> None:
        """Turn to another section."""
        self._turn(SECTIONS[(self._section + step) % len(SECTIONS)])

    def action_section_named(self, name: str) -> None:
        """Turn to a section."""
        self._turn(name)

    def _when_typed(self, step: Callable[[], object]) -> None:
        """Take a step when the text has taken what was typed before it: a key of ours overtakes those on their way there."""
        self._text.call_later(self._take_in)
        self._text.call_later(step)

    def _turn(self, name: str) -> None:
        self._take_in()
        self._section = SECTIONS.index(name)
        self._show_draft()
        self._paint()
        if not self._text.has_focus or not self._text.display:
            self.screen.set_focus(self.first)

    def action_external(self) -> None:
        """Edit the draft with the operator's own editor."""
        self._when_typed(lambda: self._work(self._edited_elsewhere))

    async def _edited_elsewhere(self) -> None:
        if self.editing.file is None:
            return
        try:
            self._text.load_text(await edit(self.app, self.editing.draft, ".toml"))
        except LbappError as error:
            self.desk.tell(Outcome(clean(str(error)), is_refused=True))

    def action_throw_away(self) -> None:
        """Ask, then take the file again."""
        self._when_typed(self._ask_to_throw_away)

    def _ask_to_throw_away(self) -> None:
        if self.editing.is_changed:
            what = "What was written since is lost; the file is taken again."
            self._ask("Throw the draft away?", what, "Throw away", self._thrown_away)

    def _thrown_away(self) -> None:
        self.editing.throw_away()
        self._is_loaded = False
        self.visit("")

    # ---- check, apply, keep or go back

    def action_check(self) -> None:
        """Have the engine look at the draft."""
        self._turn("check")
        self._when_typed(lambda: self._work(self._checked))

    async def _checked(self) -> None:
        await self.editing.check()
        self._problem = -1
        self._show_draft()

    def action_problem(self, step: int) -> None:
        """Go to the line of the next problem."""
        checked = self.editing.checked
        lines = [each.line for each in checked.problems if each.line] if checked else []
        if lines:
            self._problem = (self._problem + step) % len(lines)
            self._text.go_to(lines[self._problem])
            self.action_edit()

    def action_apply(self) -> None:
        """Ask, then apply the draft on trial; while one is on trial: whether it stays."""
        if self.desk.may_change:
            self._when_typed(self._apply_it)

    def _apply_it(self) -> None:
        if self._trial.left_s is not None:
            self._ask_to_keep()
        elif not self.editing.is_changed and self.editing.file and not self.editing.file["is_file_other_than_running"]:
            self.desk.tell(Outcome("there is nothing to apply: the draft is what serves"))
        else:
            self._turn("check")
            self._work(self._ask_to_apply)

    async def _ask_to_apply(self) -> None:
        checked = await self.editing.check()
        self._show_draft()
        if not checked.is_sound:
            self.desk.tell(Outcome(words.in_the_way(checked), is_refused=True))
            return
        is_of_earlier = self.editing.is_of_earlier
        effect = words.apply_words(checked.plan, self._confirm_s, OF_EARLIER if is_of_earlier else "")
        self._ask("Apply this draft?", effect, "Apply", lambda: self._work(self._applied))

    async def _applied(self) -> None:
        if await self.editing.apply(""):
            self._text.put(self.editing.draft)
            self._trial.begin()
            self._trial_watch = self._trial_watch or self.set_interval(_TRIAL_EVERY_S, self._watch_trial)
            self._ask_to_keep()
        self._show_draft()

    def _ask_to_keep(self) -> None:
        number = max(self._trial.number, self.editing.running_number)

        def answered(answer: Answer | None) -> None:
            if answer == "keep":
                self._work(partial(self.editing.keep, number))
            elif answer == "back":
                self._work(partial(self._followed, partial(self.editing.go_back, number)))

        self.app.push_screen(Keep(number, lambda: self._trial.left_or_soon(self._confirm_s)), answered)

    async def _followed(self, step: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Take a step that may leave another draft, which the text then has, unless somebody writes meanwhile."""
        self._take_in()
        before = self._text.text
        await step()
        if self._text.text != before:
            self._take_in()
        elif before != self.editing.draft:
            self._text.put(self.editing.draft)
        self._show_draft()
        self._paint()

    def _watch_trial(self) -> None:
        """Learn what has become of what was applied here, when that was decided elsewhere, or by the time."""
        is_busy = self._step is not None and not self._step.is_finished
        if self.editing.before is not None and self._trial.is_decided and not is_busy:
            self._work(partial(self._followed, self.editing.learn))

    def on_line_table_chosen(self, _event: LineTable.Chosen) -> None:
        """Ask to roll back to the configuration."""
        chosen = self._history.selected
        if chosen is None or not self.desk.may_change:
            return
        effect = f"What serves now is replaced by what served as {chosen}. The file stays as it is."
        step = partial(self.editing.roll_back_to, int(chosen), self._trial.number)
        self._ask(f"Roll back to {chosen}?", effect, "Roll back", lambda: self._work(step))

    def _ask(self, title: str, effect: str, verb: str, then: Callable[[], None]) -> None:
        asked = Question(Asked(title, verb, lines=effect.split("\n")))
        self.app.push_screen(asked, lambda yes: then() if yes is not None else None)

    def _work(self, step: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Take a step, unless another is under way: that one decides what is to come next, and nothing breaks it off."""
        if self._step is not None and not self._step.is_finished:
            self.desk.tell(Outcome("wait until what is under way is done", is_refused=True))
        else:
            self._step = self.run_worker(step, group="step")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key exists now: none that writes where nothing may be changed, and i is a letter of the text."""
        may = self.desk.may_change or action not in ("edit", "apply", "external", "throw_away")
        return may and not (action == "edit" and self._text.has_focus)
