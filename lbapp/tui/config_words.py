"""A draft of a configuration in words: what is other than what serves, what applying it does, what is wrong with it.

Responsible for these lines. Knows nothing of widgets or of who asked. Invariants: every difference has its line number
in the draft; what applying does is the engine's own plan; every problem is shown, each with its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from lbapp.control.changes import ConfigurationKept, PlannedChange, ReloadDone
from lbapp.model.errors import Problem
from lbapp.tui.editing import Checked, Editing
from lbapp.tui.format import clean, clock_of_day
from lbapp.tui.glyphs import Glyphs, Tone
from lbapp.tui.listing import Column, Kind
from lbapp.tui.tones import Line

_AROUND: Final = 2  # lines that have not changed, before and after


def diff_lines(running: str, draft: str) -> list[Line]:
    """Return the lines that are other in the draft, with those around them; empty: there are none."""
    before, after, left_out = _where_other(running, draft)
    found: list[Line] = []
    for group in difflib.SequenceMatcher(None, before, after).get_grouped_opcodes(_AROUND):
        found.append([(f" line {left_out + group[0][3] + 1}", "calm")])
        for kind, first, last, first_after, last_after in group:
            if kind == "equal":
                found.extend(_lines(after[first_after:last_after], " ", "plain"))
                continue
            found.extend(_lines(before[first:last], "-", "bad"))
            found.extend(_lines(after[first_after:last_after], "+", "good"))
    return found


def _lines(texts: Iterable[str], mark: str, tone: Tone) -> Iterable[Line]:
    return ([(f" {mark} {clean(text)}", tone)] for text in texts)


def count_changes(running: str, draft: str) -> int:
    """Return how many places are other."""
    before, after, _ = _where_other(running, draft)
    return sum(kind != "equal" for kind, *_ in difflib.SequenceMatcher(None, before, after).get_opcodes())


def _where_other(running: str, draft: str) -> tuple[list[str], list[str], int]:
    """Return the lines of both from shortly before the first that is other to shortly behind the last, and how many stand before.

    Thousands of servers are lines that are all alike: comparing every one with every other takes minutes, at each key.
    """
    before, after = running.splitlines(), draft.splitlines()
    shorter = min(len(before), len(after))
    first = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    same = next((at for at in range(shorter - first) if before[-1 - at] != after[-1 - at]), shorter - first)
    begin, end = max(0, first - _AROUND), max(0, same - _AROUND)
    return before[begin : len(before) - end], after[begin : len(after) - end], begin


def head_words(editing: Editing, places: int, sections: str, *, is_of_now: bool) -> Line:
    """Return what is edited, what serves, and what the draft is. `places`: other in it; `sections`: as they stand behind."""
    file = editing.file
    if file is None:
        return [(f" {editing.problem or 'reading the configuration'}", "bad" if editing.problem else "plain")]
    if editing.is_changed and not is_of_now:
        return [(" this is your draft; how the configuration was is not recorded", "warn")]
    draft = f"draft: {places} place{'' if places == 1 else 's'} changed" if editing.is_changed else "no draft"
    draft += " (of an earlier file)" if editing.is_of_earlier else ""
    line: Line = [(f" {Path(file['path']).name}  {file['running_number']} serves  {draft}", "plain")]
    if file["is_file_other_than_running"]:
        line.append(("  the file is not what serves", "warn"))
    return [*line, (f"  {sections}", "plain")]


def checked_lines(editing: Editing, glyphs: Glyphs) -> list[Line]:
    """Return what the engine has said of the draft as it is, or how to ask it."""
    checked = editing.checked
    if checked is None or checked.text != editing.draft:
        return [[(" F5 checks this draft and says what applying it does", "plain")]]
    if checked.plan is not None:
        return [[(" sound. Applying it:", "good")], *plan_lines(checked.plan, glyphs)]
    problems = problem_lines(checked.problems, glyphs) or [[(f" {checked.refusal}", "bad")]]
    return [[(f" {problem_count(len(checked.problems) or 1)}; n goes to the next", "bad")], *problems]


def plan_lines(plan: ReloadDone, glyphs: Glyphs) -> list[Line]:
    """Return what applying does, and what it warns of."""
    if not plan["changes"] and not plan["warnings"]:
        return [[(" applying this changes nothing that is served", "plain")]]
    found: list[Line] = []
    for change in plan["changes"]:
        found.append(
            [(f" {_mark(change, glyphs)} {change['what']}: {change['kind']}", "plain"), (_how(change), "plain")]
        )
        found.extend([(f"     {detail}", "plain")] for detail in change["details"])
    found.extend([(f" {glyphs.over} {warning}", "warn")] for warning in plan["warnings"])
    return found


def apply_words(plan: ReloadDone | None, confirm_s: float, warning: str) -> str:
    """Return what is said before a draft is applied: how many things change that serve, and how long it is on trial."""
    count = len(plan["changes"]) if plan else 0
    what = "1 thing that serves" if count == 1 else f"{count} things that serve"
    told = "The file is written. Nothing that serves will change, so there is no trial."
    if count:
        trial = f"it is taken back after {confirm_s:.0f} s\nunless you keep it."
        told = f"{what} will change.\nThe file is written, and served on trial: {trial}"
    return told + (f"\n! {warning}: what was written there since is lost." if warning else "")


def _mark(change: PlannedChange, glyphs: Glyphs) -> str:
    return {"added": "+", "removed": "-"}.get(change["kind"], glyphs.unknown)


def _how(change: PlannedChange) -> str:
    return f", {change['how']}" if change["how"] else ""


def problem_lines(problems: Sequence[Problem], glyphs: Glyphs) -> list[Line]:
    """Return what is wrong, each problem with its line."""
    found: list[Line] = []
    for each in problems:
        where = f"line {each.line}" if each.line else "the file"
        key = f"{each.key}: " if each.key else ""
        found.append([(clean(f" {glyphs.down} {where}: {key}{each.message}"), "bad")])
    return found


def in_the_way(checked: Checked) -> str:
    """Return why a draft that is not sound is not applied."""
    return f"{problem_count(len(checked.problems))} in the way: n goes there" if checked.problems else checked.refusal


def kept_text(kept: ConfigurationKept) -> str:
    """Return who applied a configuration when, and what became of it."""
    state = "serves" if kept["is_serving"] else kept["state"]
    reason = f", {kept['reason']}" if kept["reason"] else ""
    return f"{kept['number']:>4}  {clock_of_day(kept['at'])}  {kept['user']:<10} {state}{reason}"


def problem_count(count: int) -> str:
    """Return how many problems there are, in words."""
    return f"{count} problem{'' if count == 1 else 's'}"


def kept_kind() -> Kind[ConfigurationKept]:
    """Return what the table of applied configurations shows."""
    columns: list[Column[ConfigurationKept]] = [
        Column("applied; Enter rolls back to it", 0, kept_text, lambda k: k["number"], is_right=False,
               tone=lambda k: "good" if k["is_serving"] else "warn" if k["state"] in ("reverted", "unconfirmed") else "plain"),
    ]  # fmt: skip
    return Kind(columns, lambda k: str(k["number"]), lambda k: k["state"] != "applied", kept_text)
