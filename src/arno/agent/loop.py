"""The agent loop, sans-IO: a state takes events and says what to do next.

    READY --Start--> MODEL --Answered, no calls-----------------------> DONE (answered)
                       |  --Answered, cut inside a call---------------> DONE (incomplete)
                       |  --Failed------------------------------------> DONE (failed)
                       |  --Answered, with calls--> TOOLS --last ToolDone--> MODEL
                       |                              |  (step cap reached) > DONE (step limit)
                       +--Cancelled-------------------+--Cancelled----> DONE (cancelled)

A step with calls goes on whatever its finish reason says: some upstreams say `stop` with calls.
`messages` is a valid history at every moment: each call has exactly one result, in call order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import msgspec

from arno.agent.history import client_calls, repair, result_message, result_part
from arno.agent.result import RunResult, Step, answer_parts
from arno.canon.failure import Failure, FailureKind, OrderError, Stage
from arno.canon.parts import Part, ToolCallPart, ToolResultPart
from arno.canon.request import Message, Request, Role, ToolChoice, ToolChoiceMode
from arno.canon.response import FinishReason, Response
from arno.wire import json
from arno.wire.errors import MalformedJSON

CANCELLED = "cancelled"
"""The text of a call's result when the run was cancelled before the call had one."""

NOT_RUN = "Not run: the answer was cut off before it was complete."
"""The text of a call's result when its answer was cut inside a call."""

RUNNING = "There is no result yet: the call is being carried out."
"""The text of a call's result in a history that is read while its tool runs."""

_FORCED = frozenset({ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED})
_NOTHING = Response()

CUT_REASONS = frozenset({FinishReason.LENGTH, FinishReason.CONTENT_FILTER})
"""Finish reasons that may leave the last call half-written."""


class Phase(Enum):
    """Where a run stands; see the module's drawing."""

    READY = "ready"
    MODEL = "model"
    TOOLS = "tools"
    DONE = "done"


class Outcome(Enum):
    """How a run ended."""

    ANSWERED = "answered"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    STEP_LIMIT = "step limit"
    CANCELLED = "cancelled"


class Start(msgspec.Struct, frozen=True):
    """Begin."""


class Answered(msgspec.Struct, frozen=True):
    """The model's answer is complete; the other fields as in `Step`."""

    response: Response
    generation_id: str | None = None
    first_token_s: float | None = None


class Failed(msgspec.Struct, frozen=True):
    """The upstream failed; partial: what had arrived."""

    failure: Failure
    partial: Response = _NOTHING


class ToolDone(msgspec.Struct, frozen=True):
    """The call in this place of the step has a result."""

    place: int
    text: str
    is_error: bool = False


class Cancelled(msgspec.Struct, frozen=True):
    """The run must end now; partial: the finished parts of the answer that was arriving."""

    partial: tuple[Part, ...] = ()


LoopEvent = Start | Answered | Failed | ToolDone | Cancelled


class CallModel(msgspec.Struct, frozen=True):
    """Send this request; answer with Answered or Failed. step: from 1."""

    step: int
    request: Request


class RunTool(msgspec.Struct, frozen=True):
    """Carry out this call; answer with ToolDone for its place. All of a batch run at once."""

    step: int
    place: int
    call: ToolCallPart


class Finish(msgspec.Struct, frozen=True):
    """The run is over. failure and partial: when the outcome is FAILED."""

    outcome: Outcome
    result: RunResult
    failure: Failure | None = None
    partial: Response = _NOTHING


Command = CallModel | RunTool | Finish
Commands = tuple[Command, ...]


class Loop:
    """One run. Feed it events; carry out the commands it returns.

    settings: the request without its conversation. leading: messages sent first in every request
    and kept out of the history (instructions). messages: the conversation so far, repaired here.
    """

    def __init__(
        self,
        settings: Request,
        messages: Sequence[Message],
        *,
        leading: tuple[Message, ...] = (),
        max_steps: int = 20,
    ) -> None:
        self.phase = Phase.READY
        self._settings = settings
        self._leading = leading
        self._max_steps = max_steps
        self._settled = repair(messages)
        self._steps: tuple[Step, ...] = ()
        self._unknown_steps = 0
        self._answer: Answered | None = None
        self._calls: tuple[ToolCallPart, ...] = ()
        self._results: dict[int, ToolResultPart] = {}

    def feed(self, event: LoopEvent) -> Commands:
        """Take one event in. Raises OrderError if it has no meaning in this phase."""
        handler = _TABLE.get((self.phase, type(event)))
        if handler is None:
            raise OrderError(f"{type(event).__name__} means nothing when {self.phase.value}")
        return handler(self, event)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The history so far, valid at every moment."""
        if self.phase is Phase.TOOLS and self._answer is not None:
            return self._settled + self._turn(answer_parts(self._answer.response), RUNNING)
        return self._settled

    @property
    def result(self) -> RunResult:
        """The run as it stands."""
        return RunResult(
            messages=self.messages, steps=self._steps, unknown_steps=self._unknown_steps
        )

    def _begin(self, event: Start) -> Commands:
        return self._call_model()

    def _call_model(self) -> Commands:
        self.phase = Phase.MODEL
        request = msgspec.structs.replace(
            self._settings,
            messages=self._leading + self._settled,
            tool_choice=self._tool_choice(),
        )
        return (CallModel(len(self._steps) + 1, request),)

    def _tool_choice(self) -> ToolChoice | None:
        """A forced call is forced once: forced again after its result, a run could not end."""
        choice = self._settings.tool_choice
        forced = choice is not None and choice.mode in _FORCED
        if forced and any(client_calls(step.parts) for step in self._steps):
            return ToolChoice(ToolChoiceMode.AUTO)
        return choice

    def _answered(self, event: Answered) -> Commands:
        parts = answer_parts(event.response)
        reason = event.response.choices[0].reason if event.response.choices else None
        if reason is FinishReason.ERROR:
            return self._failed(Failed(_error_finish(event.response), event.response))
        self._answer = event
        self._calls = client_calls(parts)
        self._results = {}
        if reason in CUT_REASONS and any(is_half_written(call) for call in self._calls):
            return self._cut(parts)
        if not self._calls:
            self._settle_step()
            return self._finish(Outcome.ANSWERED)
        self.phase = Phase.TOOLS
        number = len(self._steps) + 1
        return tuple(RunTool(number, place, call) for place, call in enumerate(self._calls))

    def _cut(self, parts: tuple[Part, ...]) -> Commands:
        """No call of a cut answer is run; the half-written ones do not go into the history."""
        kept = tuple(
            part for part in parts if not (isinstance(part, ToolCallPart) and is_half_written(part))
        )
        self._calls = client_calls(kept)
        self._settle_step(kept, NOT_RUN)
        return self._finish(Outcome.INCOMPLETE)

    def _failed(self, event: Failed) -> Commands:
        self._unknown_steps += 1
        return self._finish(Outcome.FAILED, event.failure, event.partial)

    def _tool_done(self, event: ToolDone) -> Commands:
        if event.place in self._results or not 0 <= event.place < len(self._calls):
            raise OrderError(f"no call waits for a result in place {event.place}")
        call = self._calls[event.place]
        self._results[event.place] = result_part(call, event.text, is_error=event.is_error)
        if len(self._results) < len(self._calls):
            return ()
        self._settle_step()
        if len(self._steps) >= self._max_steps:
            return self._finish(Outcome.STEP_LIMIT)
        return self._call_model()

    def _cancel_model(self, event: Cancelled) -> Commands:
        """What had arrived stays in the history; what it cost is not known."""
        self._unknown_steps += 1
        self._calls = client_calls(event.partial)
        self._results = {}
        self._settled += self._turn(event.partial, CANCELLED)
        return self._finish(Outcome.CANCELLED)

    def _cancel_tools(self, event: Cancelled) -> Commands:
        self._settle_step(note=CANCELLED)
        return self._finish(Outcome.CANCELLED)

    def _cancel_start(self, event: Cancelled) -> Commands:
        return self._finish(Outcome.CANCELLED)

    def _ignore(self, event: Cancelled) -> Commands:
        return ()

    def _finish(
        self,
        outcome: Outcome,
        failure: Failure | None = None,
        partial: Response = _NOTHING,
    ) -> Commands:
        self.phase = Phase.DONE
        return (Finish(outcome, self.result, failure, partial),)

    def _settle_step(self, kept: tuple[Part, ...] | None = None, note: str = "") -> None:
        """Move the answer and its results into the history and the list of steps."""
        answer = self._answer
        if answer is None:
            return
        self._settled += self._turn(answer_parts(answer.response) if kept is None else kept, note)
        step = Step(
            number=len(self._steps) + 1,
            response=answer.response,
            results=self._in_order(note),
            generation_id=answer.generation_id,
            first_token_s=answer.first_token_s,
        )
        self._steps += (step,)

    def _turn(self, parts: tuple[Part, ...], note: str) -> tuple[Message, ...]:
        """The assistant's message and one message per result; nothing for an empty answer."""
        if not parts:
            return ()
        results = map(result_message, self._in_order(note))
        return (Message(Role.ASSISTANT, parts), *results)

    def _in_order(self, note: str) -> tuple[ToolResultPart, ...]:
        """Results in call order; a call without one gets `note` as an error."""
        return tuple(
            self._results.get(place) or result_part(call, note, is_error=True)
            for place, call in enumerate(self._calls)
        )


def is_half_written(call: ToolCallPart) -> bool:
    """Whether the arguments stop before they are whole; meant for answers cut by a limit.

    Empty arguments count: a call was begun, and a limit that strikes right there is far likelier
    than a call without arguments that ends exactly on it.
    """
    try:
        json.loads(call.arguments)
    except MalformedJSON:
        return True
    return False


def _error_finish(response: Response) -> Failure:
    return Failure(
        kind=FailureKind.SERVER,
        message="the model ended its answer with an error",
        code=response.choices[0].native_reason,
        stage=Stage.MID_STREAM,
    )


_TABLE: dict[tuple[Phase, type], Callable[[Loop, Any], Commands]] = {
    (Phase.READY, Start): Loop._begin,
    (Phase.READY, Cancelled): Loop._cancel_start,
    (Phase.MODEL, Answered): Loop._answered,
    (Phase.MODEL, Failed): Loop._failed,
    (Phase.MODEL, Cancelled): Loop._cancel_model,
    (Phase.TOOLS, ToolDone): Loop._tool_done,
    (Phase.TOOLS, Cancelled): Loop._cancel_tools,
    (Phase.DONE, Cancelled): Loop._ignore,
}
"""What each event does in each phase; a pair that is missing is a driver's bug."""
