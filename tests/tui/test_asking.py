from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
from textual.app import App
from textual.widgets import Static

from lbapp.control import calls
from lbapp.control.calls import Answer, Call
from lbapp.control.messages import ServerStatus
from lbapp.model.errors import RequestRefused
from lbapp.tui.asking import Job, Poll
from lbapp.tui.feed import Feed
from tests.tui.engine_double import server

pytestmark = pytest.mark.anyio


class Slow(Feed):
    """An engine that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.is_refusing = False

    async def ask(self, call: Call[Answer]) -> Answer:
        self.asked.append(call.path)
        await self.may_answer.wait()
        if self.is_refusing:
            raise RequestRefused("no", "not\x1bnow", "", 409)
        one = server("app", call.path.rpartition("/")[2])
        one["health_reason"] = "\x1b[2J"
        return one  # type: ignore[return-value]  # of the one call that is asked here


async def test_one_question_at_a_time_and_its_answer_is_printable() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        owner, engine, answers = Static(), Slow(), []
        await app.mount(owner)
        question: Poll[ServerStatus] = Poll(owner, lambda: engine, 0.0, lambda: answers.append(question.answer))
        question.ask()
        assert engine.asked == []
        question.about(calls.server("app/s1"))
        question.ask()
        question.ask()
        await pilot.pause()
        assert engine.asked == ["/v1/pools/app/servers/s1"]
        engine.may_answer.set()
        await pilot.pause()
        await pilot.pause()
        assert question.answer is not None
        assert (question.answer["id"], question.answer["health_reason"]) == ("app/s1", "·[2J")
        assert len(answers) == 1


async def test_answer_to_what_is_no_longer_asked_is_dropped() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        owner, engine = Static(), Slow()
        await app.mount(owner)
        question: Poll[ServerStatus] = Poll(owner, lambda: engine, 0.0, lambda: None)
        question.about(calls.server("app/s1"))
        question.ask()
        await pilot.pause()
        question.about(calls.server("app/s2"))
        engine.may_answer.set()
        await pilot.pause()
        await pilot.pause()
        dropped = question.answer
        question.ask()
        await pilot.pause()
        await pilot.pause()
        assert (dropped, question.answer and question.answer["id"]) == (None, "app/s2")


async def test_refusal_is_a_sentence_and_the_next_question_is_asked_all_the_same() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        owner, engine = Static(), Slow()
        await app.mount(owner)
        engine.may_answer.set()
        engine.is_refusing = True
        question: Poll[ServerStatus] = Poll(owner, lambda: engine, 0.0, lambda: None)
        question.about(calls.server("app/s1"))
        question.ask()
        await pilot.pause()
        await pilot.pause()
        assert (question.answer, question.problem) == (None, "not·now")
        question.ask()
        await pilot.pause()
        assert len(engine.asked) == 2


async def test_job_that_was_never_begun_leaves_nothing_behind_and_one_that_is_awaited_is_done() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        done.append(number)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Job(work, 1)
        gc.collect()
        await Job(work, 2)
    assert done == [2]
