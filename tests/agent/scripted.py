"""A model that says what a test tells it, as canonical events, and keeps what it was asked.

    model = ScriptedModel([answer(calls=[("a", "add", '{"x": 1}')]), answer("done")])

An answer is a list of events; an `asyncio.Event` among them is a gate the stream waits at.
"""

import asyncio
from collections.abc import Sequence

from arno.canon.events import (
    ChoiceEnd,
    Event,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    StreamError,
    UsageUpdate,
)
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import TextPart, ToolCallPart, ToolResultPart
from arno.canon.request import Message, Request, Role
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.usage import Usage

Step = Event | asyncio.Event
Call = tuple[str, str, str]
"""Call id, tool name, raw arguments."""

BROKEN = Failure(FailureKind.OVERLOADED, "too busy", status=503, stage=Stage.BEFORE_OUTPUT)


def answer(
    text: str = "",
    calls: Sequence[Call] = (),
    reason: FinishReason = FinishReason.STOP,
    usage: Usage | None = None,
    served_by: str | None = None,
) -> list[Step]:
    """A whole answer: text, then calls, each in two deltas."""
    events: list[Step] = [ResponseStart(id="gen-1", model="m", served_by=served_by)]
    if text:
        events += text_part(0, text)
    for index, call in enumerate(calls, 1):
        events += call_part(index, *call)
    events.append(ChoiceEnd(0, reason, reason.value))
    if usage is not None:
        events.append(UsageUpdate(usage))
    return [*events, ResponseEnd()]


def text_part(index: int, text: str) -> list[Step]:
    half = len(text) // 2
    pieces = [PartDelta(index, Slot.TEXT, piece) for piece in (text[:half], text[half:]) if piece]
    return [PartStart(index, TextPart()), *pieces, PartEnd(index)]


def call_part(index: int, call_id: str, name: str, arguments: str) -> list[Step]:
    half = len(arguments) // 2
    pieces = [
        PartDelta(index, Slot.ARGUMENTS, piece)
        for piece in (arguments[:half], arguments[half:])
        if piece
    ]
    return [PartStart(index, ToolCallPart(call_id=call_id, name=name)), *pieces, PartEnd(index)]


def failing(*before: Step, failure: Failure = BROKEN) -> list[Step]:
    """What came before, then the failure."""
    return [*before, StreamError(failure)]


def response(
    text: str = "", calls: Sequence[Call] = (), reason: FinishReason = FinishReason.STOP
) -> Response:
    """The same answer as a value."""
    parts = (TextPart(text=text),) if text else ()
    made = tuple(ToolCallPart(call_id=i, name=n, arguments=a) for i, n, a in calls)
    return Response(id="gen-1", choices=(Choice(parts=parts + made, reason=reason),))


class ScriptedModel:
    """See the module. `requests`: what was asked; `open`: streams that were not closed yet."""

    def __init__(self, answers: Sequence[Sequence[Step]]) -> None:
        self._answers = iter(answers)
        self.requests: list[Request] = []
        self.open = 0
        self.closed = 0

    def stream(self, request: Request) -> "ScriptedStream":
        self.requests.append(request)
        self.open += 1
        return ScriptedStream(self, next(self._answers))

    async def aclose(self) -> None:
        self.closed += 1


class ScriptedStream:
    """One scripted answer."""

    generation_id: str | None = None

    def __init__(self, model: ScriptedModel, steps: Sequence[Step]) -> None:
        self._model = model
        self._steps = iter(steps)
        self._is_open = True

    def __aiter__(self) -> "ScriptedStream":
        return self

    async def __anext__(self) -> Event:
        for step in self._steps:
            if not isinstance(step, asyncio.Event):
                return step
            await step.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if self._is_open:
            self._is_open = False
            self._model.open -= 1


def outline(messages: Sequence[Message]) -> list[str]:
    """A history in short: `user`, `assistant a b`, `tool a: text`, `tool a! text` for errors."""
    lines: list[str] = []
    for message in messages:
        first = message.parts[0] if message.parts else None
        if isinstance(first, ToolResultPart):
            text = "".join(part.text for part in first.parts if isinstance(part, TextPart))
            lines.append(f"tool {first.call_id}{'!' if first.is_error else ':'} {text}")
        else:
            calls = [part.call_id for part in message.parts if isinstance(part, ToolCallPart)]
            lines.append(" ".join([message.role.value, *calls]))
    return lines


def unanswered(messages: Sequence[Message]) -> list[str]:
    """Call ids that break the rule "exactly one result each, right behind, in call order"."""
    wrong: list[str] = []
    due: list[str] = []
    for message in messages:
        if message.role is Role.TOOL:
            part = message.parts[0]
            assert isinstance(part, ToolResultPart)
            if due and due[0] == part.call_id:
                due.pop(0)
            else:
                wrong.append(part.call_id)
            continue
        wrong += due
        due = [part.call_id for part in message.parts if isinstance(part, ToolCallPart)]
    return wrong + due
