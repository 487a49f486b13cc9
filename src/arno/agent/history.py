"""Histories that every upstream accepts: each tool call has exactly one result, in call order.

Results stand right behind the assistant message with their calls, one `tool` message each. Call
ids are opaque and may come again in a later step, so a result belongs to the nearest call before
it that has none yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from arno.canon.parts import Part, TextPart, ToolCallPart, ToolResultPart, is_client_call
from arno.canon.request import Message, Role

NO_RESULT = "There is no result: the call was not carried out."
"""The text of a result that `repair` had to add."""


def user(text: str) -> Message:
    """A user's message."""
    return Message(Role.USER, (TextPart(text=text),))


def client_calls(parts: Iterable[Part]) -> tuple[ToolCallPart, ...]:
    """The calls that the client has to carry out, in order."""
    return tuple(part for part in parts if is_client_call(part))


def result_part(call: ToolCallPart, text: str, *, is_error: bool = False) -> ToolResultPart:
    """The result of `call` in words."""
    return ToolResultPart(
        call_id=call.call_id, name=call.name, parts=(TextPart(text=text),), is_error=is_error
    )


def result_message(result: ToolResultPart) -> Message:
    """The message that carries one result."""
    return Message(Role.TOOL, (result,))


class _Turn:
    """One message of the history that is no result, and the results of its calls."""

    __slots__ = ("calls", "message", "results")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.calls = client_calls(message.parts) if message.role is Role.ASSISTANT else ()
        self.results: list[Message | None] = [None] * len(self.calls)

    def take(self, call_id: str, message: Message) -> bool:
        """Keep the result if a call of that id still waits for one."""
        for place, call in enumerate(self.calls):
            if call.call_id == call_id and self.results[place] is None:
                self.results[place] = message
                return True
        return False

    def messages(self) -> Iterable[Message]:
        yield self.message
        for call, result in zip(self.calls, self.results, strict=True):
            yield result or result_message(result_part(call, NO_RESULT, is_error=True))


def repair(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The history with each call answered exactly once, in call order.

    Missing results are added as errors, misplaced ones moved, and those that answer no call, or
    one that is answered already, dropped. A repaired history comes back unchanged.
    """
    turns: list[_Turn] = []
    for message in messages:
        if message.role is not Role.TOOL:
            turns.append(_Turn(message))
            continue
        for single in _singles(message):
            _place(single, turns)
    return tuple(message for turn in turns for message in turn.messages())


def _singles(message: Message) -> Iterable[Message]:
    """One message per result; a well-formed message comes back as it is."""
    if len(message.parts) == 1 and isinstance(message.parts[0], ToolResultPart):
        return (message,)
    return tuple(
        msgspec.structs.replace(message, parts=(part,))
        for part in message.parts
        if isinstance(part, ToolResultPart)
    )


def _place(message: Message, turns: Sequence[_Turn]) -> None:
    result = message.parts[0]
    if isinstance(result, ToolResultPart):
        any(turn.take(result.call_id, message) for turn in reversed(turns))
