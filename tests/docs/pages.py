"""What a page of the documentation has its reader do, step by step.

Responsible for finding in Markdown what is typed, where, and what is to be seen then. Knows nothing of how it is done: that is
`shells`. The conventions, which readers see as well:

- a block of ```sh is typed into the terminal that one works in, and has to end well;
- ```sh NAME is typed into another terminal, NAME's own, and may go on running there;
- ```sh console opens the console; the table behind it has what is pressed, and what stands on the screen then;
- a block directly behind one of them (```text, ```toml, ```json) is what is printed; a line of three dots stands for any lines.
  Of what NAME's terminal prints it has some lines, in any order.

Invariant: every block of ```sh is a step, so that nothing on a page is left out by mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CONSOLE: Final = "console"
_OUTPUTS: Final = ("text", "toml", "json")
_BLOCK: Final = re.compile(r"^```(\w*)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW: Final = re.compile(r"^\| (.*`.*) \| (.*) \|$", re.MULTILINE)
_QUOTED: Final = re.compile(r"`([^`]+)`")

# What is another each time: days, times, process ids, figures with their units. Names, addresses, statuses are not.
_CHANGING: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d"), "DAY"),
    (re.compile(r"\b\d\d:\d\d(:\d\d(\.\d+)?)?\b"), "TIME"),
    (re.compile(r"\blbapp \d+\.\d+\.\d+"), "lbapp VERSION"),
    (re.compile(r"\bpid \d+|(?<=lbapp\[)\d+(?=\])"), "PID"),
    (
        re.compile(r"(?<!HTTP )(?<!HTTP/1\.1 )(?<!status )(?<![\w./:-])(\d+(\.\d+)?(ms|us|s|m|h|%)?)+(?![\w/:]|\.\d)"),
        "#",
    ),
    (re.compile(r"(?<!\S)-(?!\S)"), "#"),
    (re.compile(r"[ \t]+"), " "),
)
# What a shell says of jobs that ended, in words that differ from shell to shell, and lbapp of a machine that has few descriptors.
_BESIDE: Final = re.compile(r"^(.*: line \d+: +\d+ (Terminated|Killed|Done)|.*\(ulimit -n\)).*$\n?", re.MULTILINE)


@dataclass(frozen=True)
class Press:
    """Keys that are pressed, and what has to be on the screen then; nothing: the console ends."""

    keys: tuple[str, ...]
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One block of commands. `terminal` is empty for the one that one works in; `printed` None: the page does not say."""

    line: int
    commands: str
    terminal: str
    printed: str | None
    presses: tuple[Press, ...] = field(default=())


def steps(page: Path) -> list[Step]:
    """Return what is done on a page, in its order."""
    text = page.read_text()
    blocks = list(_BLOCK.finditer(text))
    found = []
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block[1] != "sh":
            continue
        between = text[block.end() : following.start() if following else len(text)]
        is_printed = following is not None and following[1] in _OUTPUTS and not between.strip()
        found.append(
            Step(
                line=text.count("\n", 0, block.start()) + 1,
                commands=block[3],
                terminal=block[2] or "",
                printed=following[3] if following is not None and is_printed else None,
                presses=tuple(map(_press, _ROW.findall(between))) if block[2] == CONSOLE else (),
            )
        )
    return found


def _press(row: tuple[str, str]) -> Press:
    return Press(tuple(_QUOTED.findall(row[0])), tuple(_QUOTED.findall(row[1])))


def settled(text: str) -> str:
    """Return a text without what is another each time."""
    text = _BESIDE.sub("", text)
    for pattern, by in _CHANGING:
        text = pattern.sub(by, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def says_the_same(page: str, printed: str) -> bool:
    """Say whether that was printed which the page says, but for what is another each time."""
    lines = ["(.*\n)*?" if line == "..." else f"{re.escape(line)}\n" for line in settled(page).splitlines()]
    return re.fullmatch("".join(lines), settled(printed) + "\n") is not None


def has_lines_of(page: str, printed: str) -> bool:
    """Say whether every line that the page has was printed, in whatever order."""
    return set(settled(page).splitlines()) <= set(settled(printed).splitlines())
