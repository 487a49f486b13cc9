"""What a run tells while it goes on. One step after the other:

    StepStarted
      TextDelta, ReasoningDelta, RefusalDelta                 as they arrive
      ToolCallStarted, ToolCallDelta..., ToolCall             a call while the model writes it
      ToolResult                                              as each tool ends
    StepFinished
    ...
    RunFinished                                               last, if the run has an answer

A run that fails raises a `RunError` instead of `RunFinished`. `step` counts from 1.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arno.agent.result import RunResult
from arno.canon.response import Response
from arno.canon.usage import Usage


class StepStarted(msgspec.Struct, frozen=True):
    """A request goes to the model."""

    step: int


class TextDelta(msgspec.Struct, frozen=True):
    """More text of the answer."""

    step: int
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True):
    """More of the model's reasoning."""

    step: int
    text: str


class RefusalDelta(msgspec.Struct, frozen=True):
    """More of the model's refusal."""

    step: int
    text: str


class ToolCallStarted(msgspec.Struct, frozen=True):
    """The model begins to write a call."""

    step: int
    call_id: str
    name: str


class ToolCallDelta(msgspec.Struct, frozen=True):
    """More of a call's argument text (JSON in pieces)."""

    step: int
    call_id: str
    text: str


class ToolCall(msgspec.Struct, frozen=True):
    """A call is written to its end; arguments is the raw text, not checked yet."""

    step: int
    call_id: str
    name: str
    arguments: str


class ToolResult(msgspec.Struct, frozen=True):
    """A tool has ended, in the order in which tools end; the history has them in call order."""

    step: int
    call_id: str
    name: str
    text: str
    is_error: bool


class StepFinished(msgspec.Struct, frozen=True):
    """An answer is complete and its tools have ended; fields as in `Step`."""

    step: int
    response: Response
    usage: Usage | None
    cost_usd: Decimal | None
    served_by: str | None
    generation_id: str | None
    first_token_s: float | None


class RunFinished(msgspec.Struct, frozen=True):
    """The run has its answer."""

    result: RunResult


AgentEvent = (
    StepStarted
    | TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallStarted
    | ToolCallDelta
    | ToolCall
    | ToolResult
    | StepFinished
    | RunFinished
)
