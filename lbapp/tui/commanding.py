"""The keys that lead to every other: menu, command line, palette, help; and the console's own: lock, copy, leave.

Responsible for what stands in them, and for doing what is chosen there. Knows nothing of how an action is asked about or sent.
Invariants: what is typed behind a key of these reaches what it opened; a choice is of what was selected when it was opened.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType

from lbapp.tui.acting import Acting
from lbapp.tui.actions.catalog import CATALOG, GRADES, Subject
from lbapp.tui.actions.commandline import History, Spoken, complete, read
from lbapp.tui.actions.finding import Choice
from lbapp.tui.changes import Outcome
from lbapp.tui.dialogs.command import CommandLine
from lbapp.tui.dialogs.help import Help
from lbapp.tui.dialogs.menu import Menu
from lbapp.tui.dialogs.palette import Palette
from lbapp.tui.dialogs.question import Asked, Question
from lbapp.tui.format import duration
from lbapp.tui.glyphs import Glyphs, is_linux_console
from lbapp.tui.keys import key_name, written_keys
from lbapp.tui.place import TABS, Place
from lbapp.tui.scoping import Scope
from lbapp.tui.wording import help_lines


def _of_subject(subject: Subject) -> Spoken:
    """Return what is to be done to what is selected now, whatever is selected when it is said what."""
    pool = None if subject.servers else subject.pool
    return Spoken("do", servers=subject.servers or None, pool=pool, node=subject.node, is_of_nodes=subject.is_of_nodes)


class Commanding(Acting):
    """What the shell can be told to do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "menu", "actions", priority=True, id="menu"),
        Binding("colon", "command", "command line", show=False, priority=True, id="command"),
        Binding("ctrl+p", "palette", "find by name", show=False, priority=True, id="palette"),
        Binding("question_mark,f1", "help", "help", priority=True, id="help"),
        Binding("F", "scope", "this node or all nodes", show=False, priority=True, id="scope"),
        Binding("R", "lock", "lock or unlock", show=False, priority=True, id="lock"),
        Binding("y", "copy('name')", "copy the name", show=False, id="copy.name"),
        Binding("Y", "copy('address')", "copy the address", show=False, id="copy.address"),
        Binding("q", "leave", "quit", priority=True, id="quit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.scope = Scope()

    @property
    def glyphs(self) -> Glyphs:
        """The symbols of this terminal."""
        raise NotImplementedError

    @property
    def screens(self) -> Sequence[str]:
        """The names of the screens that there are."""
        raise NotImplementedError

    def go(self, place: Place) -> None:
        """Go on to a place."""
        raise NotImplementedError

    def filter_by(self, text: str) -> None:
        """Filter the list in sight."""
        raise NotImplementedError

    # ---- menu, command line, palette

    def action_menu(self) -> None:
        """Show every action of what is selected."""
        subject = self.subject()
        choices = [
            Choice(
                action.id, action.title, f"{action.grade}  {action.does}", key_name(action.key), self.why_not(action, subject)
            )
            for action in CATALOG
        ]  # fmt: skip
        names = [row.id for row in subject.servers] or ([subject.pool.name] if subject.pool else [])
        title = f"Actions: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}" if names else "Actions"
        keys = {action.key: action.id for action in CATALOG if action.key}
        spoken = _of_subject(subject)
        self.app.push_screen(Menu(title, choices, keys), lambda chosen: self._choose(chosen, spoken))

    def _choose(self, action_id: str | None, spoken: Spoken) -> None:
        if action_id is not None:
            self.act(replace(spoken, action=action_id))

    def action_command(self) -> None:
        """Take a line of words."""
        self.app.push_screen(
            CommandLine(
                lambda text: read(text, self.source.scene, self.screens),
                lambda text: complete(text, self.source.scene, self.screens),
                self.history,
            ),
            self._obey,
        )

    def _obey(self, spoken: Spoken | None) -> None:
        if spoken is None:
            return
        if spoken.kind == "do":
            self.act(spoken)
        elif spoken.kind == "go" and spoken.place is not None:
            self.go(spoken.place)
        elif spoken.kind == "filter":
            self.filter_by(spoken.text)
        elif spoken.kind == "theme":
            self.app.theme = spoken.text
            self.tell(Outcome(f"the theme is {spoken.text}"))
        else:
            {"help": self.action_help, "lock": self.action_lock, "quit": self.action_leave}[spoken.kind]()

    def action_palette(self) -> None:
        """Find a screen, a pool, a server or an action by its name."""
        subject, scene = self.subject(), self.source.scene
        choices = [
            Choice(f"go {tab.screen}", tab.title, "screen", tab.key) for tab in TABS if tab.screen in self.screens
        ]
        choices += [
            Choice(f"act {action.id}", action.title, action.does, key_name(action.key), self.why_not(action, subject))
            for action in CATALOG
        ]
        if scene is not None:
            choices += [Choice(f"pool {pool.name}", pool.name, "pool") for pool in scene.pools]
            choices += [Choice(f"server {row.id}", row.id, row.address) for row in scene.servers()]
        spoken = _of_subject(subject)
        self.app.push_screen(Palette(choices), lambda chosen: self._found(chosen, spoken))

    def _found(self, chosen: str | None, spoken: Spoken) -> None:
        if chosen is None:
            return
        what, _, name = chosen.partition(" ")
        if what == "act":
            self._choose(name, spoken)
        elif what == "go":
            self.go(Place(name))
        else:
            self.go(Place(what, name))

    def action_help(self) -> None:
        """Show every key that exists here, what states mean, and how a filter is written."""
        keys = written_keys(self)
        grades = {action.title: action.grade for action in CATALOG}
        keys["CHANGE"] = [(key, f"{does}  {grades.get(does, '')}".rstrip()) for key, does in keys["CHANGE"]]
        keys["CLASSES"] = list(GRADES.items())
        self.app.push_screen(Help(help_lines(keys, self.glyphs, self.size.width)))

    # ---- the console's own

    def action_scope(self) -> None:
        """Be about all nodes of the fleet from now on, or about this one again."""
        if self.fleet is not None or self.scope.is_fleet:
            self.tell(Outcome(self.scope.turn(self.fleet)))

    def action_lock(self) -> None:
        """Let nothing be changed from this console; or, when that is so, ask and let things be changed again."""
        if not self.rights.why_not:
            self.rights.lock()
            self.refresh_bindings()
            self.tell(Outcome("locked: nothing can be changed until R unlocks it"))
            return
        if not self.rights.may_unlock:
            self.tell(Outcome(self.rights.why_not, is_refused=True))
            return
        asked = Asked("Unlock this console?", "Unlock", lines=("Its keys change what the engine does again.",))

        def answered(yes: object) -> None:
            if yes is not None:
                self.rights.unlock()
                self.refresh_bindings()
                self.tell(Outcome("unlocked: keys change things again"))

        self.app.push_screen(Question(asked), answered)

    def action_copy(self, what: str) -> None:
        """Copy the names or the addresses of what is selected to the terminal's clipboard, where it allows that."""
        subject = self.subject()
        found = [row.id if what == "name" else row.address for row in subject.servers]
        if not found and what == "name" and subject.pool is not None:
            found = [subject.pool.name]
        if not found:
            self.tell(Outcome(f"there is no {what} to copy: select a server first", is_refused=True))
            return
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        if is_linux_console(os.environ):  # which has no clipboard, and where older kernels print what is sent to one
            self.tell(Outcome(f"this terminal has no clipboard: {found[0]}{more}"))
            return
        self.app.copy_to_clipboard("\n".join(found))
        self.tell(Outcome(f"copied, if your terminal allows it: {found[0]}{more}"))

    def action_leave(self) -> None:
        """Leave the console; ask first when something is about to come to an end by itself."""
        engine = self.source.scene.engine if self.source.scene else None
        if engine is not None and engine["confirm_by"] is not None and self.source.is_live:
            left = duration(max(0.0, engine["confirm_by"] - self.source.now()))
            line = f"Configuration {engine['configuration']} is not confirmed: it is taken back in {left}."
        else:
            self.app.exit()
            return
        asked = Asked("Quit all the same?", "Quit", lines=(line,))
        self.app.push_screen(Question(asked), lambda yes: self.app.exit() if yes is not None else None)
