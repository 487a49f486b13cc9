"""The driver of one run: carries out the loop's commands and tells what happens.

A `Run` is pulled: nothing goes on that nobody reads, so a slow reader slows the upstream down.
Giving a run up (`aclose`, leaving its `async with`, or cancelling the task that reads it) closes
the upstream, cancels the tools, and leaves a valid history in `messages`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any

from arno.agent.errors import IncompleteAnswer, ModelError, RunError, StepLimit
from arno.agent.events import AgentEvent, RunFinished, StepFinished, StepStarted, ToolResult
from arno.agent.execute import ToolOutcome, execute
from arno.agent.loop import (
    CANCELLED,
    Answered,
    CallModel,
    Cancelled,
    Commands,
    Failed,
    Finish,
    Loop,
    LoopEvent,
    Outcome,
    RunTool,
    Start,
    ToolDone,
)
from arno.agent.model import Model
from arno.agent.result import RunResult, Step
from arno.agent.tools import Tool
from arno.agent.watch import Watch
from arno.canon.events import TERMINAL
from arno.canon.failure import Failure, FailureKind, LocalError, Stage
from arno.canon.parts import ToolCallPart
from arno.canon.request import Message

Clock = Callable[[], float]
"""Seconds, monotonic."""

_CUT = Failure(
    kind=FailureKind.TRUNCATED,
    message="the answer stopped without its end",
    stage=Stage.MID_STREAM,
)


class Run:
    """One run, an asynchronous iterator of `AgentEvent`s; used once, by one task at a time.

        async with agent.stream("What is the weather?") as run:
            async for event in run:
                ...
        run.result.text

    Iterating raises `RunError` where the run fails.
    """

    def __init__(
        self,
        loop: Loop,
        model: Model,
        tools: Mapping[str, Tool[..., Any]],
        clock: Clock,
        max_parallel_tools: int,
    ) -> None:
        self._loop = loop
        self._model = model
        self._tools = tools
        self._clock = clock
        self._slots = asyncio.Semaphore(max_parallel_tools)
        self._watch: Watch | None = None
        self._commands: Commands = ()
        self._finish: Finish | None = None
        self._events = self._drive()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The history so far, valid at every moment, also after a failure or a cancellation."""
        return self._loop.messages

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are complete."""
        return self._loop.result.steps

    @property
    def result(self) -> RunResult:
        """The finished run. Raises LocalError while it has no answer."""
        if self._finish is None or self._finish.outcome is not Outcome.ANSWERED:
            raise LocalError("the run has no answer; see `messages` and `steps`")
        return self._finish.result

    def __aiter__(self) -> Run:
        return self

    async def __anext__(self) -> AgentEvent:
        return await anext(self._events)

    async def __aenter__(self) -> Run:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the run up, or do nothing if it is over."""
        await self._events.aclose()

    def _feed(self, event: LoopEvent) -> None:
        commands = self._loop.feed(event)
        self._commands = commands
        if commands and isinstance(commands[0], Finish):
            self._finish = commands[0]

    async def _drive(self) -> AsyncGenerator[AgentEvent, None]:
        try:
            self._feed(Start())
            while self._finish is None:
                async with aclosing(self._carry_out(self._commands)) as events:
                    async for event in events:
                        yield event
            if self._finish.outcome is not Outcome.ANSWERED:
                raise _error(self._finish)
            yield RunFinished(self._finish.result)
        finally:
            self._feed(Cancelled(self._watch.settled_parts if self._watch else ()))

    async def _carry_out(self, commands: Commands) -> AsyncGenerator[AgentEvent, None]:
        """One answer or one batch of tools; tells the step if that was its end."""
        before = len(self._loop.result.steps)
        first = commands[0]
        tools = [command for command in commands if isinstance(command, RunTool)]
        work = self._call_model(first) if isinstance(first, CallModel) else self._call_tools(tools)
        async with aclosing(work) as events:
            async for event in events:
                yield event
        for step in self._loop.result.steps[before:]:
            yield _step_finished(step)

    async def _call_model(self, command: CallModel) -> AsyncGenerator[AgentEvent, None]:
        yield StepStarted(command.step)
        watch = self._watch = Watch(command.step, self._clock)
        stream = self._model.stream(command.request)
        async with aclosing(stream):
            async for event in stream:
                for shown in watch.feed(event):
                    yield shown
                if isinstance(event, TERMINAL):
                    # At once: the connection may take a moment to end, and whoever cancels in
                    # that moment still has an answer whose cost is known.
                    self._judge(watch, stream.generation_id)
        if self._watch is not None:
            self._judge(watch, stream.generation_id)

    def _judge(self, watch: Watch, generation_id: str | None) -> None:
        """Hand the end of the answer to the loop."""
        self._watch = None
        self._feed(_verdict(watch, generation_id))

    async def _call_tools(self, commands: list[RunTool]) -> AsyncGenerator[AgentEvent, None]:
        """All at once; results are told as they come, several at one moment in call order."""
        running = {c.place: asyncio.create_task(self._execute(c.call)) for c in commands}
        try:
            while running:
                await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
                ended = [c for c in commands if c.place in running and running[c.place].done()]
                for command in ended:
                    outcome = self._take(command.place, running.pop(command.place))
                    yield _tool_result(command, outcome)
        finally:
            await self._stop(running)

    async def _execute(self, call: ToolCallPart) -> ToolOutcome:
        async with self._slots:
            return await execute(self._tools, call)

    def _take(self, place: int, task: asyncio.Task[ToolOutcome]) -> ToolOutcome:
        """Hand a finished task's result to the loop. A tool may have cancelled itself."""
        outcome = ToolOutcome(CANCELLED, is_error=True) if task.cancelled() else task.result()
        self._feed(ToolDone(place, outcome.text, outcome.is_error))
        return outcome

    async def _stop(self, running: Mapping[int, asyncio.Task[ToolOutcome]]) -> None:
        """Cancel what still runs and wait for its end; a result that is there by then is kept."""
        for task in running.values():
            task.cancel()
        try:
            if running:
                await asyncio.wait(running.values())
        finally:
            for place, task in running.items():
                if task.done() and not task.cancelled() and task.exception() is None:
                    self._take(place, task)


def _verdict(watch: Watch, generation_id: str | None) -> Answered | Failed:
    """What the end of the stream means for the loop."""
    response = watch.response
    if watch.failure is not None or not watch.complete:
        return Failed(watch.failure or _CUT, response)
    return Answered(response, generation_id or response.id, watch.first_token_s)


def _tool_result(command: RunTool, outcome: ToolOutcome) -> ToolResult:
    call = command.call
    return ToolResult(command.step, call.call_id, call.name, outcome.text, outcome.is_error)


def _step_finished(step: Step) -> StepFinished:
    return StepFinished(
        step=step.number,
        response=step.response,
        usage=step.usage,
        cost_usd=step.cost_usd,
        served_by=step.served_by,
        generation_id=step.generation_id,
        first_token_s=step.first_token_s,
    )


def _error(finish: Finish) -> RunError:
    result = finish.result
    if finish.failure is not None:
        return ModelError(finish.failure, finish.partial, result)
    if finish.outcome is Outcome.INCOMPLETE:
        reason = result.finish.value if result.finish else "unknown"
        return IncompleteAnswer(f"the answer stopped inside a tool call ({reason})", result)
    return StepLimit(f"no answer after {len(result.steps)} steps", result)
