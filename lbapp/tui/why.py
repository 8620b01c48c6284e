"""Asking why a request went where it went, and which server a client would get.

Responsible for the questions to the engine and for the page that shows the answers. Knows nothing of how servers are chosen.
Invariant: a question changes nothing, and what comes back is made printable before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from textual.app import App

from lbapp.control import calls
from lbapp.control.decisions import DecisionStatus
from lbapp.control.telling import describe
from lbapp.model.errors import LbappError
from lbapp.tui.asking import Job
from lbapp.tui.dialogs.line import AskLine
from lbapp.tui.dialogs.page import Page
from lbapp.tui.exchange_words import why_words
from lbapp.tui.exchanges import ExchangeRow
from lbapp.tui.format import clean
from lbapp.tui.source import Source
from lbapp.tui.staging import clean_value

_DECISIONS: Final = "200"  # of one client, in one pool; the engine keeps 64 of each pool and worker
_COLUMNS: Final = 72


class Explanation:
    """What an engine is asked once; `answer` says so until it has answered."""

    def __init__(self) -> None:
        self.answer = "asking the engine"

    async def why(self, source: Source, row: ExchangeRow) -> None:
        """Ask why a request went where it went."""
        if not row.pool:
            self.answer = "It came to no pool, so no server was chosen."
            return
        about = {"pool": row.pool, "client": row.client}
        try:
            recorded = await _decisions(source, calls.decisions({**about, "limit": _DECISIONS}))
            preview = await _decisions(source, calls.preview_decision(about))
        except LbappError as error:
            self.answer = clean(str(error))
            return
        self.answer = why_words(row, recorded, preview)

    async def preview(self, source: Source, pool: str, client: str) -> None:
        """Ask which server a client would get."""
        try:
            found = await _decisions(source, calls.preview_decision({"pool": pool, "client": client}))
        except LbappError as error:
            self.answer = clean(str(error))
            return
        self.answer = "\n\n".join(describe(each, is_preview=True, columns=_COLUMNS) for each in found) or "-"


async def _decisions(source: Source, call: calls.Call[Any]) -> Sequence[DecisionStatus]:
    found: Sequence[DecisionStatus] = clean_value(await source.ask(call))["decisions"]
    return found


def ask_why(app: App[None], source: Source, pool: str, client: str = "") -> None:
    """Ask the operator for a client's address, then show which server of a pool it would get."""

    def answered(address: str | None) -> None:
        if address:
            explanation = Explanation()
            app.run_worker(Job(explanation.preview, source, pool, address), group="why", exclusive=True)
            app.push_screen(Page(f"A client {address} at pool {pool}", lambda: explanation.answer))

    title = f"Which server of {pool} would a client get?"
    app.push_screen(AskLine(title, "the client's address; Enter asks, Esc leaves", client), answered)


def show_why(app: App[None], source: Source, row: ExchangeRow, write: Callable[[str], str]) -> None:
    """Show a page about a request; `write` returns it, given why it went where it went."""
    explanation = Explanation()
    app.run_worker(Job(explanation.why, source, row), group="why", exclusive=True)
    app.push_screen(Page("Request", lambda: write(explanation.answer)))
