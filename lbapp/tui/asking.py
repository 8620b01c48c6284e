"""Asking a source again and again while the answer is looked at.

Responsible for one question at a time and for how often it is asked. Knows nothing of what it is about. Invariants:
never two of the same under way; an answer to a question that is no longer asked is dropped; what went wrong is one
printable sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from typing import Any, Generic

from textual.widget import Widget

from lbapp.control.calls import Answer, Call
from lbapp.model.errors import LbappError
from lbapp.tui.format import clean
from lbapp.tui.source import Source
from lbapp.tui.staging import clean_value


class Job(Awaitable[None]):
    """Work for a worker that begins only when it is awaited: one cancelled before leaves no coroutine that nobody awaits."""

    def __init__(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self._work = work
        self._arguments = arguments

    def __await__(self) -> Generator[Any, None, None]:
        return self._work(*self._arguments).__await__()


class Poll(Generic[Answer]):
    """What is asked, and its newest answer. `answered` is called after each answer and each failure."""

    def __init__(
        self, owner: Widget, source: Callable[[], Source], every_s: float, answered: Callable[[], None]
    ) -> None:
        self.answer: Answer | None = None
        self.problem = ""
        self._owner = owner
        self._source = source
        self._every_s = every_s
        self._answered = answered
        self._call: Call[Answer] | None = None
        self._is_asking = False
        self._asked_at = float("-inf")
        self._turns = 0  # of the source, when it was asked
        self._asked = 0  # how often anew

    def about(self, call: Call[Answer] | None) -> None:
        """Ask this from now on; None: nothing. The answer to another question is forgotten."""
        if call != self._call:
            self._call, self.answer, self.problem = call, None, ""
            self._asked_at = float("-inf")

    def forget(self) -> None:
        """Ask anew: what was answered, and what still will be, counts no more."""
        self._asked += 1
        self.answer, self.problem = None, ""
        self._asked_at = float("-inf")

    def ask(self) -> None:
        """Ask when it is time to. What is of another moment is forgotten."""
        if self._turns != self._source().turns:
            self._turns = self._source().turns
            self.forget()
        if self._call is None or self._is_asking or monotonic() - self._asked_at < self._every_s:
            return
        self._is_asking, self._asked_at = True, monotonic()
        self._owner.run_worker(Job(self._carry_out, self._call), group="question", exit_on_error=False)

    async def _carry_out(self, call: Call[Answer]) -> None:
        answer: Any = None
        problem, asked = "", self._asked
        try:
            answer = clean_value(await self._source().ask(call))
        except LbappError as error:
            problem = clean(str(error))
        finally:
            self._is_asking = False
        if call == self._call and asked == self._asked:
            self.answer, self.problem = answer, problem
            self._answered()
