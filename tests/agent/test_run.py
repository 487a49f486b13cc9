"""The driver: commands carried out, tools at once, and every way of giving a run up."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from arno.agent.agent import Agent
from arno.agent.errors import IncompleteAnswer, ModelError, RunError, StepLimit
from arno.agent.events import (
    AgentEvent,
    RunFinished,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
)
from arno.agent.loop import CANCELLED
from arno.agent.run import Run
from arno.canon.failure import FailureKind, LocalError
from arno.canon.response import FinishReason
from arno.canon.usage import Usage
from tests.agent.scripted import (
    BROKEN,
    ScriptedModel,
    Step,
    answer,
    failing,
    outline,
    text_part,
    unanswered,
)


def add(x: int) -> int:
    """Add one."""
    return x + 1


TWO_CALLS = answer(calls=[("a", "first", "{}"), ("b", "second", "{}")])


def agent(answers: Sequence[Sequence[Step]], *tools: Callable[..., Any], **more: Any) -> Agent:
    return Agent("m", tools=tools, via=ScriptedModel(answers), clock=lambda: 0.0, **more)


async def collect(run: Run) -> list[AgentEvent]:
    return [event async for event in run]


def test_all_events_of_a_run_in_order() -> None:
    usage = Usage(input=3, output=2, cost="0.5")
    answers = [
        answer("Let me", [("a", "add", '{"x": 1}')], usage=usage, served_by="First"),
        answer("Two", usage=usage, served_by="Second"),
    ]
    events = asyncio.run(collect(agent(answers, add).stream("1 + 1?")))
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert [type(event) for event in events if event not in steps][:-1] == [
        *[StepStarted, TextDelta, TextDelta, ToolCallStarted, ToolCallDelta, ToolCallDelta],
        *[ToolCall, ToolResult],
        *[StepStarted, TextDelta, TextDelta],
    ]
    assert events[8] is steps[0]
    assert events[-2] is steps[1]
    assert ToolCall(1, "a", "add", '{"x": 1}') in events
    assert ToolResult(1, "a", "add", "2", False) in events
    assert [(s.step, s.served_by, s.cost_usd, s.usage) for s in steps] == [
        (1, "First", Decimal("0.5"), usage),
        (2, "Second", Decimal("0.5"), usage),
    ]
    assert steps[0].generation_id == "gen-1"
    assert steps[0].first_token_s == 0.0
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.result.text == "Two"
    assert finished.result.cost_usd == Decimal(1)
    assert outline(finished.result.messages) == ["user", "assistant a", "tool a: 2", "assistant"]


def test_an_event_is_told_before_the_next_one_is_there() -> None:
    async def go() -> None:
        gate = asyncio.Event()
        start, first, second, end = text_part(0, "ab")
        answers = [[*answer()[:1], start, first, gate, second, end, *answer()[1:]]]
        run = agent(answers).stream("hi")
        assert await anext(run) == StepStarted(1)
        assert await anext(run) == TextDelta(1, "a")
        gate.set()
        assert await anext(run) == TextDelta(1, "b")
        await run.aclose()

    asyncio.run(go())


class TestTools:
    def test_of_one_step_run_at_once_and_results_are_stored_in_call_order(self) -> None:
        """Each waits for the other to begin, and they end in reverse."""

        async def go() -> tuple[list[AgentEvent], Run]:
            begun = [asyncio.Event(), asyncio.Event()]
            second_done = asyncio.Event()

            async def first() -> str:
                begun[0].set()
                await begun[1].wait()
                await second_done.wait()
                return "1"

            async def second() -> str:
                begun[1].set()
                await begun[0].wait()
                return "2"

            run = agent([TWO_CALLS, answer("done")], first, second).stream("go")
            events: list[AgentEvent] = []
            async for event in run:
                events.append(event)
                if isinstance(event, ToolResult):
                    second_done.set()
            return events, run

        events, run = asyncio.run(go())
        assert [e.text for e in events if isinstance(e, ToolResult)] == ["2", "1"]
        assert outline(run.messages)[2:4] == ["tool a: 1", "tool b: 2"]

    def test_that_end_at_one_moment_are_told_in_call_order(self) -> None:
        async def first() -> str:
            return "1"

        async def second() -> str:
            return "2"

        run = agent([TWO_CALLS, answer("done")], first, second).stream("go")
        events = asyncio.run(collect(run))
        assert [e.text for e in events if isinstance(e, ToolResult)] == ["1", "2"]

    def test_in_threads_run_at_once_too(self) -> None:
        meeting = threading.Barrier(2, timeout=30)

        def first() -> str:
            meeting.wait()
            return "1"

        def second() -> str:
            meeting.wait()
            return "2"

        result = agent([TWO_CALLS, answer("done")], first, second).run_sync("go")
        assert outline(result.messages)[2:4] == ["tool a: 1", "tool b: 2"]

    def test_no_more_at_once_than_allowed(self) -> None:
        running: list[int] = []
        most: list[int] = []

        async def busy() -> None:
            running.append(1)
            most.append(len(running))
            await asyncio.sleep(0)
            running.pop()

        calls = [(str(n), "busy", "{}") for n in range(9)]
        agent([answer(calls=calls), answer("done")], busy, max_parallel_tools=2).run_sync("go")
        assert (len(most), max(most)) == (9, 2)

    def test_that_cancels_itself_gets_a_result_and_the_run_goes_on(self) -> None:
        async def first() -> None:
            raise asyncio.CancelledError

        def second() -> str:
            return "2"

        result = agent([TWO_CALLS, answer("done")], first, second).run_sync("go")
        assert outline(result.messages)[2:4] == [f"tool a! {CANCELLED}", "tool b: 2"]
        assert result.text == "done"

    def test_unknown_and_failing_ones_are_told_to_the_model(self) -> None:
        def first() -> None:
            raise OSError("disk full")

        model = ScriptedModel([TWO_CALLS, answer("sorry")])
        result = Agent("m", tools=[first], via=model).run_sync("go")
        assert result.text == "sorry"
        assert outline(model.requests[1].messages)[2:] == [
            "tool a! The tool failed: OSError: disk full",
            "tool b! There is no tool 'second'. Tools: first",
        ]


ONE_CALL = answer(calls=[("a", "add", '{"x": 1}')])
HALF_CALL = answer("t", [("a", "add", '{"x": ')], FinishReason.LENGTH)

FAILURES: list[tuple[list[list[Step]], type[RunError], str, list[str]]] = [
    ([failing()], ModelError, "provider_overloaded: too busy", ["user"]),
    (
        [ONE_CALL, failing(*answer("par")[:3])],
        ModelError,
        "provider_overloaded: too busy",
        ["user", "assistant a", "tool a: 2"],
    ),
    ([answer("cut")[:-1]], ModelError, "upstream_truncated: the answer stopped", ["user"]),
    ([[]], ModelError, "upstream_truncated: the answer stopped", ["user"]),
    (
        [HALF_CALL],
        IncompleteAnswer,
        r"the answer stopped inside a tool call \(length\)",
        ["user", "assistant"],
    ),
    ([ONE_CALL], StepLimit, "no answer after 1 steps", ["user", "assistant a", "tool a: 2"]),
]


@pytest.mark.parametrize(("answers", "error", "message", "history"), FAILURES)
def test_a_run_that_fails_raises_and_keeps_a_valid_history(
    answers: list[list[Step]], error: type[RunError], message: str, history: list[str]
) -> None:
    broken = agent(answers, add, max_steps=len(answers))
    with pytest.raises(error, match=message) as caught:
        broken.run_sync("go")
    assert outline(caught.value.messages) == history
    assert unanswered(caught.value.messages) == []


def test_a_model_error_holds_the_failure_and_what_had_arrived() -> None:
    with pytest.raises(ModelError) as caught:
        agent([failing(*answer("par")[:3])]).run_sync("go")
    assert caught.value.failure == BROKEN
    assert [getattr(part, "text", None) for part in caught.value.partial.choices[0].parts] == ["p"]
    assert caught.value.result.cost_usd is None


def test_the_failed_step_can_be_repeated_from_the_errors_history() -> None:
    model = ScriptedModel([ONE_CALL, failing(), answer("2")])
    calculator = Agent("m", tools=[add], via=model)
    with pytest.raises(ModelError) as caught:
        calculator.run_sync("1 + 1?")
    assert calculator.run_sync(caught.value.messages).text == "2"
    assert model.requests[2].messages == model.requests[1].messages


def test_an_exception_of_the_model_itself_passes_through_and_closes_it() -> None:
    class Bug(Exception):
        pass

    class BuggyModel(ScriptedModel):
        def stream(self, request: Any) -> Any:
            stream = super().stream(request)
            stream._steps = iter(bug())
            return stream

    def bug() -> Any:
        yield from answer("par")[:3]
        raise Bug

    async def go() -> None:
        model = BuggyModel([[]])
        run = Agent("m", via=model).stream("hi")
        with pytest.raises(Bug):
            await collect(run)
        assert model.open == 0
        assert outline(run.messages) == ["user", "assistant"]

    asyncio.run(go())


def test_the_result_of_a_run_without_an_answer_is_an_error() -> None:
    with pytest.raises(LocalError, match="the run has no answer"):
        _ = agent([answer("x")]).stream("hi").result


def test_steps_are_there_while_the_run_goes_on() -> None:
    async def go() -> None:
        run = agent([ONE_CALL, answer("2")], add).stream("hi")
        async for event in run:
            if event == StepStarted(2):
                assert [step.number for step in run.steps] == [1]
        assert [step.number for step in run.steps] == [1, 2]

    asyncio.run(go())


def test_the_upstream_is_closed_after_each_step() -> None:
    model = ScriptedModel([ONE_CALL, failing()])
    with pytest.raises(ModelError, match=FailureKind.OVERLOADED):
        Agent("m", tools=[add], via=model).run_sync("go")
    assert model.open == 0
