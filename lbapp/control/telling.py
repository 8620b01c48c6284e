"""Why a server was chosen, in lines of text: what the command line and the console both show.

Responsible for the words of one decision. Knows nothing of terminals or of how servers are chosen. Invariant: a line is no longer
than its columns where names leave that much room.
"""

from __future__ import annotations

import textwrap
import time
from typing import Final

from lbapp.control.decisions import DecisionStatus

_COLUMNS: Final = 80
_NAMED_MAX: Final = 8  # servers of each kind, of one decision


def describe(decision: DecisionStatus, *, is_preview: bool, columns: int = _COLUMNS) -> str:
    """Return one decision in lines. `is_preview`: it is how one would be made now, not one that was."""
    lines = [_head(decision, is_preview=is_preview), *_about(decision)]
    width = max([len(each["server"]) for each in (*decision["candidates"], *decision["skipped"])], default=0)
    for at, candidate in enumerate(decision["candidates"][:_NAMED_MAX]):
        mark = ">" if candidate["server"] == decision["server"] else " "
        lines.append(f" {mark} {candidate['server'].ljust(width)}  {candidate['score']}")
        if at == _NAMED_MAX - 1:
            lines += _more(decision["candidates_total"], "candidates")
    lines += [f" - {each['server'].ljust(width)}  {each['reason']}" for each in decision["skipped"][:_NAMED_MAX]]
    lines += _more(decision["skipped_total"], "that could not be chosen")
    return "\n".join(_fitted(line, width + 5, columns) for line in lines)


def _more(total: int, what: str) -> list[str]:
    return [f"   and {total - _NAMED_MAX} more {what}"] if total > _NAMED_MAX else []


def _head(decision: DecisionStatus, *, is_preview: bool) -> str:
    server = decision["server"] or "no server"
    by = f" by {decision['by']}" if decision["by"] else ""
    if is_preview:
        return f"now: pool {decision['pool']} -> {server}{by}"
    at = f"{time.strftime('%H:%M:%S', time.localtime(decision['at']))}.{int(decision['at'] * 1000) % 1000:03d}"
    return f"{at}  {decision['client']}  pool {decision['pool']} -> {server}{by}"


def _about(decision: DecisionStatus) -> list[str]:
    parts = [f"attempt {decision['attempt']}"] if decision["attempt"] > 1 else []
    if decision["waited"]:
        parts.append("waited for room")
    if decision["persistence"]:
        had = f", had {decision['remembered']}" if decision["remembered"] else ""
        parts.append(f"persistence: {', '.join(decision['persistence'])}{had}")
    if decision["key"]:
        parts.append(f"hashed by {decision['key']}")
    parts += [decision["note"]] if decision["note"] else []
    return [f"   {'; '.join(parts)}"] if parts else []


def _fitted(line: str, indent: int, columns: int) -> str:
    if len(line) <= columns:
        return line
    return "\n".join(textwrap.wrap(line, columns, subsequent_indent=" " * min(indent, 30), break_on_hyphens=False))
