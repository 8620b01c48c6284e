"""Fields and buttons of a dialog, as data: which one has the focus, and what a key does to it.

Responsible for typing, moving and pressing. Knows nothing of widgets or of what is asked. Invariants: exactly one part has the
focus, and that is the one that is drawn so and takes the keys; Enter presses a button only when that button has the focus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

TYPED_MAX: Final = 200
LABEL_CELLS: Final = 9
BETWEEN_CELLS: Final = 2  # buttons
_RING: Final = {"tab": 1, "shift+tab": -1}
_ROWS: Final = {"down": 1, "up": -1}


@dataclass(slots=True)
class Line:
    """One line of text that is typed. `caret`: before which letter typing goes on."""

    text: str = ""
    caret: int = 0

    def set(self, text: str) -> None:
        """Have another text, with the caret behind it."""
        self.text, self.caret = text, len(text)

    def type(self, letters: str) -> None:
        """Put letters in; what no terminal can print is left away."""
        wanted = "".join(letter for letter in letters if letter.isprintable())[: TYPED_MAX - len(self.text)]
        self.text = self.text[: self.caret] + wanted + self.text[self.caret :]
        self.caret += len(wanted)

    def press(self, key: str, character: str | None) -> bool:
        """Take a key; say whether it was one for a line of text."""
        if key == "backspace" and self.caret:
            self.text, self.caret = self.text[: self.caret - 1] + self.text[self.caret :], self.caret - 1
        elif key == "delete":
            self.text = self.text[: self.caret] + self.text[self.caret + 1 :]
        elif key == "ctrl+u":
            self.set("")
        elif key in ("left", "right", "home", "end"):
            moves = {"left": self.caret - 1, "right": self.caret + 1, "home": 0, "end": len(self.text)}
            self.caret = max(0, min(moves[key], len(self.text)))
        elif character is not None and character.isprintable():
            self.type(character)
        else:
            return key == "backspace"
        return True

    def drawn(self, width: int = 0) -> Text:
        """Return it with its caret in reverse; of a longer one the end."""
        before, under, after = (
            self.text[: self.caret],
            self.text[self.caret : self.caret + 1],
            self.text[self.caret + 1 :],
        )
        if width and cell_len(before) > width - 1:
            before = before[-(width - 1) :]
        text = Text.assemble(before, (under or " ", "reverse"), after)
        if width:
            text.truncate(width, overflow="crop", pad=True)
        return text


@dataclass(slots=True)
class Field:
    """A line of text with a name and a label. `width` in cells; `hint` stands behind it."""

    name: str
    label: str
    line: Line
    width: int = 8
    hint: str = ""


@dataclass(slots=True)
class Toggle:
    """Something that is on or off. `is_asked_about`: the effect is another one then."""

    name: str
    label: str
    is_on: bool = False
    hint: str = ""
    is_asked_about: bool = False


@dataclass(frozen=True, slots=True)
class Button:
    """Something to press. `key`: the letter that presses it while no text is typed."""

    name: str
    label: str
    key: str = ""


Part = Field | Toggle | Button


class Form:
    """The parts of one dialog: fields and toggles, then the buttons as they stand beside each other, what cancels first."""

    def __init__(self, parts: list[Part], first: str) -> None:
        self.parts = parts
        self._at = next(place for place, part in enumerate(parts) if part.name == first)

    @property
    def focused(self) -> Part:
        """The part that takes the keys."""
        return self.parts[self._at]

    def focus(self, name: str) -> None:
        """Go to a part."""
        self._at = next(place for place, part in enumerate(self.parts) if part.name == name)

    def add(self, part: Part, before: str) -> None:
        """Put another part in; the focus stays where it is."""
        place = next(place for place, each in enumerate(self.parts) if each.name == before)
        self.parts.insert(place, part)
        if place <= self._at:
            self._at += 1

    def drop(self, name: str) -> None:
        """Take a part out, if there is such; the focus stays where it is, or goes to the part behind."""
        place = next((place for place, each in enumerate(self.parts) if each.name == name), None)
        if place is not None:
            del self.parts[place]
            self._at -= place < self._at

    @property
    def wishes(self) -> list[bool]:
        """What the effect depends on."""
        return [part.is_on for part in self.parts if isinstance(part, Toggle) and part.is_asked_about]

    def text(self, name: str) -> str:
        """Return what is typed in a field; empty where there is no such."""
        return next(
            (part.line.text.strip() for part in self.parts if isinstance(part, Field) and part.name == name), ""
        )

    def is_on(self, name: str) -> bool:
        """Say whether a toggle is on."""
        return any(part.is_on for part in self.parts if isinstance(part, Toggle) and part.name == name)

    def press(self, key: str, character: str | None = None) -> str | None:
        """Take a key; return the name of the button that was pressed by it."""
        part = self.focused
        if key in _RING or (key == "enter" and isinstance(part, Field)):
            self._move(_RING.get(key, 1))
        elif key in _ROWS:
            self._move_row(_ROWS[key])
        elif isinstance(part, Field):
            part.line.press(key, character)
        elif isinstance(part, Toggle) and key in ("space", "enter"):
            part.is_on = not part.is_on
        elif isinstance(part, Button):
            return self._press_button(part, key, character)
        else:
            return self._by_letter(character)
        return None

    def _press_button(self, part: Button, key: str, character: str | None) -> str | None:
        if key in ("left", "right"):
            self._move_aside(1 if key == "right" else -1)
            return None
        return part.name if key in ("enter", "space") else self._by_letter(character)

    def _by_letter(self, character: str | None) -> str | None:
        return next(
            (each.name for each in self.parts if isinstance(each, Button) and each.key and each.key == character), None
        )

    def _move(self, step: int) -> None:
        """Go on to the next part: from Cancel, where one begins, to the fields, and only behind them to what says yes."""
        buttons = [place for place, part in enumerate(self.parts) if isinstance(part, Button)]
        ring = [*(place for place in range(len(self.parts)) if place not in buttons), *reversed(buttons)]
        self._at = ring[(ring.index(self._at) + step) % len(ring)]

    def _move_row(self, step: int) -> None:
        """Go to the row above or below; the row of the buttons, which is the last one, begins with what cancels."""
        rows = [place for place, part in enumerate(self.parts) if not isinstance(part, Button)]
        if not rows:
            self._move(step)
            return
        at = rows.index(self._at) if self._at in rows else len(rows)
        rows.append(next(place for place, part in enumerate(self.parts) if isinstance(part, Button)))
        self._at = rows[(at + step) % len(rows)]

    def _move_aside(self, step: int) -> None:
        """Go to the button beside."""
        buttons = [place for place, part in enumerate(self.parts) if isinstance(part, Button)]
        self._at = buttons[(buttons.index(self._at) + step) % len(buttons)]

    def click(self, x: int, y: int) -> str | None:
        """Take a click at a cell of what is drawn: it goes there, and presses what can be pressed; return the button's name."""
        part = self._at_cell(x, y)
        if part is None:
            return None
        self.focus(part.name)
        if isinstance(part, Toggle):
            part.is_on = not part.is_on
        return part.name if isinstance(part, Button) else None

    def _at_cell(self, x: int, y: int) -> Part | None:
        lines = [part for part in self.parts if not isinstance(part, Button)]
        if y < len(lines):
            return lines[y]
        left = 0
        for part in self.parts if y == len(lines) + 1 else ():
            if isinstance(part, Button):
                right = left + self._button(part).cell_len
                if left <= x < right:
                    return part
                left = right + BETWEEN_CELLS
        return None

    def drawn(self) -> list[Text]:
        """Return its lines: a field or toggle each, then all buttons on one. The focus is in brackets and in reverse."""
        lines = [self._drawn(part) for part in self.parts if not isinstance(part, Button)]
        buttons = Text(" " * BETWEEN_CELLS).join(self._button(part) for part in self.parts if isinstance(part, Button))
        return [*lines, Text(), buttons]

    def _drawn(self, part: Field | Toggle) -> Text:
        has_focus = part is self.focused
        label, hint = f"{part.label:<{LABEL_CELLS}} ", f"  {part.hint}"
        if isinstance(part, Toggle):
            box = Text(f"[{'x' if part.is_on else ' '}]", style="reverse" if has_focus else "")
            return Text.assemble(label, box, hint)
        line = part.line.drawn(part.width) if has_focus else Text(f"{part.line.text:<{part.width}.{part.width}}")
        return Text.assemble(label, "[", line, "]", hint)

    def _button(self, part: Button) -> Text:
        label = f"{part.label} ({part.key})" if part.key and part.key not in "n" else part.label
        return Text(f"[[ {label} ]]", style="reverse bold") if part is self.focused else Text(f"   {label}   ")
