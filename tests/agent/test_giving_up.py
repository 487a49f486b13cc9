"""Giving a run up, in every phase: upstream closed, tools cancelled, history valid."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from arno.agent.agent import Agent
from arno.agent.events import AgentEvent, ToolResult
from arno.agent.loop import CANCELLED
from arno.agent.run import Run
from arno.canon.usage import Usage
from tests.agent.scripted import (
    ScriptedModel,
    Step,
    answer,
    call_part,
    outline,
    text_part,
    unanswered,
)

TWO_CALLS = answer(calls=[("a", "first", "{}"), ("b", "second", "{}")])


def add(x: int) -> int:
    """Add one."""
    return x + 1


def agent(answers: Sequence[Sequence[Step]], *tools: Callable[..., Any]) -> Agent:
    return Agent("m", tools=tools, via=ScriptedModel(answers))


async def collect(run: Run) -> list[AgentEvent]:
    return [event async for event in run]


class GatedModel(ScriptedModel):
    """Tells, by setting an event, that its stream waits at a gate."""

    def __init__(self, answers: Sequence[Sequence[Step]], waiting: asyncio.Event) -> None:
        super().__init__(answers)
        self._waiting = waiting

    def stream(self, request: Any) -> Any:
        stream = super().stream(request)
        stream._steps = self._tell(stream._steps)
        return stream

    def _tell(self, steps: Any) -> Any:
        for step in steps:
            if isinstance(step, asyncio.Event):
                self._waiting.set()
            yield step


Leave = Callable[[Run, asyncio.Event], Awaitable[None]]
"""A way of giving up a run that is about to wait; the event tells that it does."""


async def by_cancelling(run: Run, waiting: asyncio.Event) -> None:
    async def read() -> None:
        async with run:
            async for _ in run:
                pass

    reader = asyncio.create_task(read())
    await waiting.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


async def by_leaving(run: Run, waiting: asyncio.Event) -> None:
    async with run:
        await anext(run)


async def by_breaking_the_read(run: Run, waiting: asyncio.Event) -> None:
    """Cancelled inside one read, then closed: the read itself ends the run."""
    reader = asyncio.create_task(collect(run))
    await waiting.wait()
    reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled()


class TestGivingUp:
    @pytest.mark.parametrize("leave", [by_cancelling, by_leaving, by_breaking_the_read])
    def test_while_the_model_answers(self, leave: Leave) -> None:
        async def go() -> None:
            waiting, never = asyncio.Event(), asyncio.Event()
            model = GatedModel([[*answer()[:1], *text_part(0, "Hello")[:-1], never]], waiting)
            run = Agent("m", via=model).stream("hi")
            await leave(run, waiting)
            assert model.open == 0
            told = ["user"] if leave is by_leaving else ["user", "assistant"]
            assert outline(run.messages) == told

        asyncio.run(go())

    def test_after_the_answers_end_its_cost_is_known(self) -> None:
        """The end was said, but the connection lingers."""

        async def go() -> None:
            waiting, never = asyncio.Event(), asyncio.Event()
            steps = answer("", [("a", "add", '{"x": 1}')], usage=Usage(cost="0.5"))
            run = Agent("m", tools=[add], via=GatedModel([[*steps, never]], waiting)).stream("hi")
            await by_cancelling(run, waiting)
            assert [str(step.cost_usd) for step in run.steps] == ["0.5"]
            assert outline(run.messages) == ["user", "assistant a", f"tool a! {CANCELLED}"]

        asyncio.run(go())

    def test_keeps_complete_calls_as_cancelled_and_drops_half_written_ones(self) -> None:
        async def go() -> None:
            waiting, never = asyncio.Event(), asyncio.Event()
            half = call_part(1, "b", "add", '{"x": 1}')[:-1]
            steps = [*answer()[:1], *call_part(0, "a", "add", "{}"), *half, never]
            run = Agent("m", tools=[add], via=GatedModel([steps], waiting)).stream("hi")
            await by_cancelling(run, waiting)
            assert outline(run.messages) == ["user", "assistant a", f"tool a! {CANCELLED}"]

        asyncio.run(go())

    @pytest.mark.parametrize("leave", [by_cancelling, by_breaking_the_read])
    def test_while_tools_run(self, leave: Leave) -> None:
        async def go() -> None:
            waiting, ended = asyncio.Event(), asyncio.Event()

            async def first() -> None:
                waiting.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            async def second() -> str:
                return "2"

            run = agent([TWO_CALLS], first, second).stream("go")
            await leave(run, waiting)
            assert ended.is_set()
            assert outline(run.messages)[2:] == [f"tool a! {CANCELLED}", "tool b: 2"]

        asyncio.run(go())

    def test_loses_no_result_that_exists(self) -> None:
        """Both tools have ended when the first result is told, and nobody reads on."""

        async def go() -> None:
            def first() -> str:
                return "1"

            async def second() -> str:
                return "2"

            async def first_async() -> str:
                return first()

            first_async.__name__ = "first"
            run = agent([TWO_CALLS], first_async, second).stream("go")
            async for event in run:
                if isinstance(event, ToolResult):
                    break
            await run.aclose()
            assert outline(run.messages)[2:] == ["tool a: 1", "tool b: 2"]

        asyncio.run(go())

    def test_keeps_what_a_tool_answers_to_its_cancellation(self) -> None:
        async def go() -> None:
            waiting = asyncio.Event()

            async def first() -> str:
                waiting.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    return "rolled back"
                return "never"

            async def second() -> str:
                return "2"

            run = agent([TWO_CALLS], first, second).stream("go")
            await by_cancelling(run, waiting)
            assert outline(run.messages)[2:] == ["tool a: rolled back", "tool b: 2"]

        asyncio.run(go())

    def test_before_it_begins(self) -> None:
        async def go() -> None:
            run = agent([answer("never")]).stream("hi")
            await run.aclose()
            assert await collect(run) == []
            assert outline(run.messages) == ["user"]

        asyncio.run(go())

    def test_after_its_end_changes_nothing(self) -> None:
        async def go() -> None:
            run = agent([answer("done")]).stream("hi")
            async with run:
                await collect(run)
            await run.aclose()
            assert run.result.text == "done"

        asyncio.run(go())

    def test_a_new_run_goes_on_from_the_history(self) -> None:
        async def go() -> None:
            waiting = asyncio.Event()

            async def first() -> None:
                waiting.set()
                await asyncio.Event().wait()

            stopped = agent([TWO_CALLS], first).stream("go")
            await by_cancelling(stopped, waiting)
            model = ScriptedModel([answer("on")])
            await Agent("m", via=model).run("go on", history=stopped.messages)
            assert unanswered(model.requests[0].messages) == []
            assert outline(model.requests[0].messages)[-1] == "user"

        asyncio.run(go())
