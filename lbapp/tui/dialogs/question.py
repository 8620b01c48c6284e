"""The question before an order: what it is about, what it does in numbers, and how to say yes to it.

Responsible for asking with Cancel in focus, for filling in the effect when it is known, and for having a name typed before what
cannot be taken back easily. Knows nothing of how an effect is found or an order is sent.

Invariants: nothing is done before its effect was shown; Enter right after the dialog opened never says yes; with a word to type,
only that word and the button behind it do; fields and buttons are always in sight: what is told makes room, warnings last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.events import Click, Key, Paste
from textual.widgets import Static

from lbapp.model.errors import LbappError
from lbapp.tui.actions.effect import Effect
from lbapp.tui.dialogs.dialog import Dialog
from lbapp.tui.dialogs.form import Button, Field, Form, Line, Part
from lbapp.tui.dialogs.frame import Frame
from lbapp.tui.format import clean
from lbapp.tui.tones import style_of

WATCH_S: Final = 0.5
NAMES_SHOWN: Final = 6
_LOOK: Final = "look on a larger screen, or do it in parts"
FRAME_CELLS: Final = 78  # at most
FRAME: Final = 2  # lines of its border; with its padding twice as many cells


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked. `names`: everything it is about; `word`: to be typed where the effect is of class C.

    `effect`: asks the engine; `watch`: what is not as it was when the key was pressed, looked at twice a second; `check`: why the
    fields do not hold, empty if they do; `is_typed`: it is of class C whatever its effect; `first` has the focus; Enter in the
    field `submits` says yes, for what is asked is no more than that field.
    """

    title: str
    verb: str
    names: Sequence[str] = ()
    word: str = ""
    fields: Sequence[Part] = ()
    effect: Callable[[], Awaitable[Effect]] | None = None
    lines: Sequence[str] = ()
    watch: Callable[[], Sequence[str]] = tuple
    check: Callable[[Form], str] = lambda _form: ""
    is_typed: bool = False
    first: str = "cancel"
    submits: str = ""


@dataclass(frozen=True, slots=True)
class Yes:
    """The operator said yes. `form`: what he filled in; `effect`: what he said yes to."""

    form: Form
    effect: Effect


@dataclass(slots=True)
class _Known:
    effect: Effect | None = None
    problem: str = ""
    said: str = ""
    gone: list[str] = field(default_factory=list)


class Question(Dialog[Yes | None]):
    """Asks; dismisses with Yes, or with None."""

    AUTO_FOCUS = ""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self.asked = asked
        self._known = _Known()
        self._is_answered = False
        parts = [*asked.fields, Button("cancel", "Cancel", "n"), Button("yes", asked.verb, "y")]
        self.form = Form(parts, asked.first)
        self._asked_for = self.form.wishes  # what the effect is of
        # Kept, not looked up: an effect may come when they are being taken down.
        self._told = Static(id="question", markup=False)
        self._parts = Static(id="question-parts", markup=False)
        if asked.effect is None:
            self._fill(Effect(tuple(asked.lines), "C" if asked.is_typed else "B", needs_force=asked.is_typed))

    def compose(self) -> ComposeResult:
        """Lay the dialog out."""
        with Frame():
            yield self._told
            yield self._parts

    def on_mount(self) -> None:
        """Ask for the effect, and watch what it is about."""
        self._draw()
        if self.asked.effect is not None:
            self._ask()
        self.set_interval(WATCH_S, self._watch)

    def on_resize(self) -> None:
        """Tell as much as has room now."""
        self._draw()

    @work(group="effect", exclusive=True)
    async def _ask(self) -> None:
        assert self.asked.effect is not None
        try:
            self._fill(await self.asked.effect())
        except LbappError as error:
            self._known.problem = clean(str(error))
        self._draw()

    def _fill(self, effect: Effect) -> None:
        self._known.effect = effect
        self.form.drop("word")
        self.form.parts[-1] = Button("yes", self.asked.verb, "y")
        if effect.grade == "C":
            width = max(8, min(40, len(self.asked.word) + 2))
            self.form.add(Field("word", f"Type {self.asked.word}:", Line(), width), "cancel")
            self.form.parts[-1] = Button("yes", self.asked.verb)  # no letter: letters are for the word now

    def _watch(self) -> None:
        gone = list(self.asked.watch())
        if gone != self._known.gone:
            self._known.gone = gone
            self._draw()

    @property
    def is_typed(self) -> bool:
        """Say whether a word has to be typed."""
        return self._known.effect is not None and self._known.effect.grade == "C"

    def on_key(self, event: Key) -> None:
        """Take every key: nothing behind the dialog hears any."""
        event.stop()
        event.prevent_default()
        if self._is_answered:
            return  # typed before it was gone: what was said yes to stays as it was
        self._known.said = ""
        if event.key == "escape":
            self._answer(None)
            return
        self._start_typing(event)
        self._do(self._pressed(event))

    def _do(self, pressed: str | None) -> None:
        """Do what a button stands for, None where none was pressed."""
        if pressed == "cancel":
            self._answer(None)
        elif pressed == "yes":
            self._finish()
        self._draw()

    def on_click(self, event: Click) -> None:
        """Take a click on a field, a toggle or a button."""
        if event.widget is self._parts and not self._is_answered:
            self._known.said = ""
            self._do(self.form.click(event.x, event.y))

    def on_paste(self, event: Paste) -> None:
        """Put a pasted text into the field that has the focus."""
        if isinstance(self.form.focused, Field) and not self._is_answered:
            self.form.focused.line.type(event.text)
            self._draw()

    def _start_typing(self, event: Key) -> None:
        """Go to the word when somebody begins to type it: what is drawn as focused always is what takes the key."""
        is_letter = event.character is not None and event.character.isprintable() and event.character != " "
        if self.is_typed and is_letter and isinstance(self.form.focused, Button):
            self.form.focus("word")

    def _pressed(self, event: Key) -> str | None:
        part = self.form.focused
        if (
            event.key == "enter"
            and isinstance(part, Field)
            and part.name in ("word", self.asked.submits)
            and part.line.text
        ):
            return "yes"
        return self.form.press(event.key, event.character)

    def _finish(self) -> None:
        """Say yes, or why that is not possible yet."""
        effect = self._known.effect
        if self._known.problem:
            self._known.said = "not possible: Esc leaves"
        elif effect is None:
            self._known.said = "wait until it is known what that does"
        elif self.is_typed and self.form.text("word") != self.asked.word:
            self._known.said = f"type {self.asked.word} to do it"
        elif problem := self.asked.check(self.form):
            self._known.said = problem
        else:
            self._answer(Yes(self.form, effect))

    def _answer(self, answer: Yes | None) -> None:
        self._is_answered = True
        self.dismiss(answer)

    def _draw(self) -> None:
        if self.asked.effect is not None and self.form.wishes != self._asked_for:
            self._known.effect, self._known.problem, self._asked_for = None, "", self.form.wishes
            self._ask()
        self._told.update(self._text())
        said = Text(self._known.said or "Esc cancels, Tab goes on", style="bold" if self._known.said else "")
        lines = Text("\n", no_wrap=True, overflow="crop").join(
            self.form.drawn()
        )  # one row each, as clicks are found by it
        self._parts.update(Text("\n").join([lines, said]))

    def _text(self) -> Text:
        head = [Text(self.asked.title, style="bold"), *self._names(), Text()]
        gone = [Text(f"! {line}: left out", style=style_of("warn")) for line in self._known.gone[:NAMES_SHOWN]]
        width = min(self.size.width, FRAME_CELLS) - 2 * FRAME
        below = len(self.form.drawn()) + 1  # what is said stands below the form
        room = self.size.height - FRAME - below - 1 - sum(_height(line.plain, width) for line in (*head, *gone))
        told = fitted(self._effect(), width, room)
        lines = [Text(line, style=style_of("bad") if line.startswith("!") else "") for line in told]
        return Text("\n").join([*head, *lines, *gone, Text()])

    def _names(self) -> list[Text]:
        names = list(self.asked.names)
        if not names:
            return []
        shown = "   ".join(names[:NAMES_SHOWN])
        more = f"   and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        return [Text(shown + more)]

    def _effect(self) -> Sequence[str]:
        if self._known.problem:
            return [f"! {self._known.problem}"]
        if self._known.effect is None:
            return ["asking the engine what that does"]
        return self._known.effect.lines


def fitted(lines: Sequence[str], width: int, room: int) -> Sequence[str]:
    """Return as much of what is told as has room in so many rows, in its order: figures make room before what warns does."""
    if _rows(lines, width) <= room:
        return lines
    kept = list(lines)
    for place in [*_places(kept, is_warning=False), *_places(kept, is_warning=True)]:
        left = [line for at, line in enumerate(kept) if at not in place]
        more = "1 line more has" if len(place) == 1 else f"{len(place)} lines more have"
        left.append(f"! {more} no room: {_LOOK}")
        if _rows(left, width) <= room:
            return left
    return [f"! there is no room to tell what it does: {_LOOK}"]


def _places(lines: Sequence[str], *, is_warning: bool) -> Iterator[frozenset[int]]:
    """Yield which lines to leave away: ever more figures from the last on; with `is_warning` all of them, and then warnings."""
    figures = [at for at, line in enumerate(lines) if not line.startswith("!")][::-1]
    warnings = [at for at, line in enumerate(lines) if line.startswith("!")][::-1]
    first, more = (figures, warnings) if is_warning else ([], figures)
    for count in range(1, len(more) + 1):
        yield frozenset([*first, *more[:count]])


def _rows(lines: Sequence[str], width: int) -> int:
    return sum(_height(line, width) for line in lines)


def _height(line: str, width: int) -> int:
    """Return how many rows a line takes, as its words are wrapped."""
    return max(1, len(wrap(line, max(1, width), break_on_hyphens=False)))
