"""Unfold: one whole answer becomes the events that spell it (row 21 of the fault matrix)."""

import pytest

from arno.canon.events import (
    ChoiceEnd,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    UsageUpdate,
)
from arno.canon.fold import fold
from arno.canon.order import OrderChecker
from arno.canon.parts import (
    Item,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage

PARTS: list[Part] = [
    TextPart(text="hello", annotations=({"type": "x"},), signature="s"),
    TextPart(),
    RefusalPart(text="no"),
    ReasoningPart(text="why", sealed="x", signature="s", id="r", ext={"chat": {"index": 0}}),
    ReasoningPart(),
    ToolCallPart(call_id="a", name="f", arguments='{"x":1}', wire_index=3, item=Item(id="i")),
    ToolCallPart(call_id="a", name="f"),
    ToolResultPart(call_id="a", parts=(TextPart(text="x"),), is_error=True),
    MediaPart(data="AA==", transcript="t", media_type="audio/wav"),
    OpaquePart(dialect="chat", document={"x": 1}),
]


def test_the_events_of_an_answer() -> None:
    choice = Choice(2, (TextPart(text="hi"),), FinishReason.STOP, "end_turn")
    answer = Response(id="x", model="m", choices=(choice,), usage=Usage(input=1))
    assert list(unfold(answer)) == [
        ResponseStart(id="x", model="m"),
        PartStart(0, TextPart(), 2),
        PartDelta(0, Slot.TEXT, "hi"),
        PartEnd(0),
        ChoiceEnd(2, FinishReason.STOP, "end_turn"),
        UsageUpdate(Usage(input=1)),
        ResponseEnd(),
    ]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_each_part_survives(part: Part) -> None:
    answer = Response(choices=(Choice(0, (part,), FinishReason.STOP),))
    events = list(unfold(answer))
    checker = OrderChecker()
    for event in events:
        checker.feed(event)
    assert fold(events).response == answer


def test_all_parts_in_two_choices_survive() -> None:
    choices = (
        Choice(0, tuple(PARTS), FinishReason.TOOL_CALLS, ext={"chat": {"logprobs": None}}),
        Choice(1, tuple(reversed(PARTS))),
    )
    answer = Response(choices=choices, ext={"chat": {"object": "x"}}, created=7, served_by="p")
    assert fold(list(unfold(answer))).response == answer


def test_what_is_unknown_is_not_said() -> None:
    choice = Choice(0, (TextPart(text="a"),))
    kinds = [type(event) for event in unfold(Response(choices=(choice,)))]
    assert kinds == [ResponseStart, PartStart, PartDelta, PartEnd, ResponseEnd]
